"""Takes over the answer that a visitor gave to another consent tool, once, on a page that the visitor opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.types import Scope

from cookie_consent.base.cookies.fields import pairs
from cookie_consent.base.problem import Problem
from cookie_consent.decision.decision import grants_consent
from cookie_consent.decision.imported.records import ImportedAnswer, import_answer, imported_key
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.visit import Visit, cookies_of, host_of
from cookie_consent.visitors.answers.posted import PostedAnswer
from cookie_consent.visitors.answers.records import AnswerRecords
from cookie_consent.visitors.elsewhere.opened_pages import inquiry_on, is_page_opened, with_cookies, without_cookies
from cookie_consent.visitors.installation import Installation


class ImportedAnswers:
    """Takes over answers. The ledger keeps each one first; then it is signed as ours, and the other cookie is expired.

    Args:
        parts: the parts of the middleware.
        records: stores consent records; None without a ledger.
    """

    def __init__(self, parts: Installation, records: AnswerRecords | None) -> None:
        self._parts, self._records = parts, records
        self._names = [declared.cookie.encode("ascii") for declared in parts.policy.imports]
        # They are expired where the site says that they are, and wherever else the host can have set them.
        self._expired = [declared.to_expire() for declared in parts.policy.imports]

    def concern(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a request brings a cookie of another tool."""
        return any(value.find(own) >= 0 for name, value in scope["headers"] if name == b"cookie" for own in self._names)

    async def take(self, scope: Scope, path: str, visit: Visit) -> tuple[Scope, Visit]:
        """Return the request and the visit with the answer taken over.

        Without one, they are the same. If the answer cannot be recorded, nothing happens; the next page tries again.

        Args:
            scope: the ASGI scope, of a request that `concern` is true for.
            path: the path inside the app.
            visit: what the visitor's cookies and signals say.
        """
        named = {name for name, _ in pairs(cookies_of(scope))}
        expired = [cookie for cookie in self._expired if cookie.name.encode("ascii") in named]
        if not expired or not is_page_opened(scope):
            return scope, visit
        place, key = self._parts.own_cookies.place(scope), imported_key(self._parts.policy, cookies_of(scope))
        deletions = self._parts.gate.deletions((), host_of(scope), secure=place.secure, unsent=expired)
        fields = tuple(field for _, field in deletions)
        try:
            record = await self._record(scope, path, visit)
        except Problem:
            return scope, visit
        if record is not None:
            field = self._parts.own_cookies.set_consent(record, place=place)
            scope = with_cookies(without_cookies(scope, self._names), [field])
            visit, fields = self._parts.visits.read(scope, path), (field, *fields)
        return scope, replace(visit, set_cookies=fields, supersedes=key)

    async def _record(self, scope: Scope, path: str, visit: Visit) -> ConsentRecord | None:
        """Return the answer to take over, as the ledger stored it; None if there is none, or one of ours already."""
        parts, now = self._parts, self._parts.clock()
        if visit.decision.record is not None:
            return None
        found = import_answer(parts.policy, cookies_of(scope), now, parts.own_cookies.lifetime)
        if found is None:
            return None
        if self._records is None:
            return found.record
        inquiry = inquiry_on(parts, scope, path, visit, found.record.language, now)
        posted = PostedAnswer(choice="save", source=found.record.source)
        origin = _origin(found, consents=grants_consent(parts.policy, found.record))
        record, _ = await self._records.keep(inquiry, visit.decision, posted, found.record, origin)
        return record


def _origin(found: ImportedAnswer, *, consents: bool) -> dict[str, str]:
    """Return what the ledger keeps of the other tool.

    The cookie may hold an id, so its digest is one. A refusal leaves no identifier.
    """
    digest = {"imported_sha256": found.digest} if consents else {}
    return {"imported_from": found.tool, **digest}
