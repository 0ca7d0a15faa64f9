"""Applies the answer of the account that is signed in, on a page that the visitor opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import Scope

from cookie_consent.base.cookies.fields import cookie_name, expire_cookie
from cookie_consent.base.paths import address
from cookie_consent.base.problem import Problem
from cookie_consent.decision.account import account_document, differ, read_account, stricter, takes_back
from cookie_consent.decision.account_cookie import AccountMark
from cookie_consent.decision.place import Place
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.visit import Announcement, Visit, cookies_of, without_held
from cookie_consent.visitors.accounts import Accounts
from cookie_consent.visitors.answers.posted import PostedAnswer
from cookie_consent.visitors.answers.recent_answers import cookie_key
from cookie_consent.visitors.answers.records import AnswerRecords
from cookie_consent.visitors.answers.tracing import AnswerTracing
from cookie_consent.visitors.elsewhere.opened_pages import inquiry_on, is_page_opened, with_cookies, without_cookies
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.installation import Installation

_APPLIES = "account_applies"
"""The text that says that the account's answer applies."""


class _Given(NamedTuple):
    """What an account gives.

    Args:
        user: the id of the account.
        account: its answer.
        is_followed: whether the device followed an earlier answer of it.
    """

    user: str
    account: ConsentRecord
    is_followed: bool


class FollowedAccounts:
    """Applies accounts' answers, and has the app keep those that are given while somebody is signed in.

    A device follows an account once its answer was applied: then each newer answer of the account applies as it is. The
    first time, the stricter of the two answers applies for each purpose. What one account left on a device counts for
    no other: the other's answer applies instead, or the visitor is asked.

    Args:
        parts: the parts of the middleware.
        accounts: calls the app's functions.
        records: stores consent records; None without a ledger.
        tracing: stops access tracing.
    """

    def __init__(
        self, parts: Installation, accounts: Accounts, records: AnswerRecords | None, tracing: AnswerTracing
    ) -> None:
        self._parts, self._accounts, self._records, self._tracing = parts, accounts, records, tracing
        self._cookie = parts.own_cookies.account

    def concern(self, scope: Scope) -> bool:
        """Return whether a request may apply an answer."""
        return is_page_opened(scope)

    async def named(self, inquiry: Inquiry) -> Inquiry:
        """Return a request to an endpoint with the id of the account that is signed in.

        What another account left on the device is not in it, so that no answer builds on it.
        """
        scope, visit, place = inquiry.request.scope, inquiry.visit, inquiry.place
        user = await self._accounts.user(without_held(scope, visit))
        if user is None:
            return inquiry
        mark = self._mark_of(visit, inquiry.cookies, place)
        if mark is not None and not self._cookie.is_of(mark, user):
            scope, visit = self._forget(scope, inquiry.path, visit, place)
            request = Request(scope, inquiry.request.receive)
            inquiry = replace(inquiry, request=request, visit=visit, cookies=cookies_of(scope))
        return replace(inquiry, account=user)

    async def keep(self, inquiry: Inquiry, record: ConsentRecord) -> list[tuple[bytes, bytes]]:
        """Have the app keep an answer that was given on this device, and return the header fields.

        Without an account, the device follows none from now on.

        Args:
            inquiry: the request with the answer, which names the account.
            record: the answer.
        """
        user = inquiry.account
        if not user:
            return [(b"set-cookie", field) for field in self._cookie.forget(inquiry.cookies, place=inquiry.place)]
        await self._accounts.save(user, account_document(record))
        at = record.decided_at
        mark = self._cookie.set(user, decided_at=at, followed=at, is_told=True, place=inquiry.place)
        return [(b"set-cookie", mark)]

    async def take(self, scope: Scope, path: str, visit: Visit) -> tuple[Scope, Visit]:
        """Return the request and the visit with the account's answer applied.

        Args:
            scope: the ASGI scope, of a request that `concern` is true for.
            path: the path inside the app.
            visit: what the visitor's cookies and signals say.
        """
        user = await self._accounts.user(without_held(scope, visit))
        if user is None:
            return scope, visit
        parts, place = self._parts, self._parts.own_cookies.place(scope)
        given = await self._accounts.load(user)
        account = read_account(given, parts.policy, parts.clock(), parts.own_cookies.lifetime)
        mark = self._mark_of(visit, cookies_of(scope), place)
        if mark is not None and not self._cookie.is_of(mark, user):
            scope, visit = self._forget(scope, path, visit, place)
            mark = None
        if account is not None and self._is_new(account, mark, visit.decision.record):
            is_followed = mark is not None and mark.followed < account.decided_at
            scope, visit = await self._apply(scope, path, visit, _Given(user, account, is_followed))
        elif mark is not None and not mark.is_told:
            said = self._cookie.set(user, decided_at=mark.decided_at, followed=mark.followed, is_told=True, place=place)
            visit = replace(visit, announcement=Announcement(_APPLIES, said, None))
        return scope, replace(visit, signed_in=True)

    def _is_new(self, account: ConsentRecord, mark: AccountMark | None, device: ConsentRecord | None) -> bool:
        """Return whether the account's answer does not apply on the device yet.

        Times are whole seconds. Nobody knows the newer of two answers within one, so what either refuses is refused.
        """
        if mark is None or device is None or mark.followed < account.decided_at:
            return True
        return mark.followed == account.decided_at and takes_back(account, device, self._parts.policy)

    def _mark_of(self, visit: Visit, cookies: bytes, place: Place) -> AccountMark | None:
        """Return the mark of the answer on the device; None if there is none, or if it is about another answer."""
        mark, device = self._cookie.read(cookies, place=place), visit.decision.record
        return mark if mark is not None and device is not None and mark.decided_at == device.decided_at else None

    def _forget(self, scope: Scope, path: str, visit: Visit, place: Place) -> tuple[Scope, Visit]:
        """Return the request and the visit without what another account left on the device: answer and visitor ids."""
        own, base = self._parts.own_cookies, address(scope.get("root_path", ""), self._parts.prefix)
        kinds = ("consent", "signal", "account")
        names = [own.name(kind, place=place).encode("ascii") for kind in kinds]
        expired = [expire_cookie(name, domain=place.domain, secure=place.secure) for name in names]
        expired += [own.forget_visitor(kind, base=base, place=place) for kind in ("visitor", "erasure")]
        scope = without_cookies(scope, map(cookie_name, expired))
        return scope, self._read(scope, path, visit, expired)

    async def _apply(self, scope: Scope, path: str, visit: Visit, given: _Given) -> tuple[Scope, Visit]:
        """Return the request and the visit with the answer that applies; the same if it cannot be recorded."""
        parts, place, device = self._parts, self._parts.own_cookies.place(scope), visit.decision.record
        differs, applied = device is None or differ(device, given.account), given.account
        if device is not None and not given.is_followed:
            applied = stricter(device, given.account, parts.policy)
            if not differ(device, applied):
                return scope, self._marked(visit, given, device, place, tells=differs)
        try:
            record, ended = await self._recorded(scope, path, visit, applied)
        except Problem:
            return scope, visit
        fields = [parts.own_cookies.set_consent(record, place=place)]
        if device is not None and device.overridden_by:
            # What a signal switched off on this device stays off until the visitor answers here.
            signals = device.overridden_by
            fields.append(parts.own_cookies.set_signals(signals, record.decided_at, parts.clock(), place=place))
        scope = with_cookies(scope, fields)
        now = self._read(scope, path, visit, [*fields, *ended])
        if device is not None:
            now = replace(now, supersedes=cookie_key(device))
        return scope, self._marked(now, given, record, place, tells=differs)

    def _marked(self, visit: Visit, given: _Given, record: ConsentRecord, place: Place, *, tells: bool) -> Visit:
        """Return the visit with the mark that the answer on the device follows the account's.

        Args:
            visit: the visit.
            given: what the account gives.
            record: the answer on the device.
            place: where our own cookies live.
            tells: whether the visitor is told.
        """
        said, unsaid = (
            self._cookie.set(
                given.user,
                decided_at=record.decided_at,
                followed=given.account.decided_at,
                is_told=is_told,
                place=place,
            )
            for is_told in (True, False)
        )
        if tells:
            return replace(visit, announcement=Announcement(_APPLIES, said, unsaid))
        return replace(visit, set_cookies=(*visit.set_cookies, said))

    def _read(self, scope: Scope, path: str, before: Visit, fields: Iterable[bytes]) -> Visit:
        """Read a request whose cookies have changed; fields of ours from before are kept unless they are replaced."""
        new = [*fields]
        names = {*map(cookie_name, new)}
        kept = [field for field in before.set_cookies if cookie_name(field) not in names]
        return replace(self._parts.visits.read(scope, path), set_cookies=(*kept, *new))

    async def _recorded(
        self, scope: Scope, path: str, visit: Visit, record: ConsentRecord
    ) -> tuple[ConsentRecord, list[bytes]]:
        """Return an answer as the ledger stored it, and the Set-Cookie fields for a visitor id that it ends.

        Raises:
            Problem: the ledger cannot store it.
        """
        before, parts = visit.decision, self._parts
        inquiry = inquiry_on(parts, scope, path, visit, record.language, parts.clock())
        posted = PostedAnswer(choice="save", source=record.source)
        if self._records is not None:
            record, _ = await self._records.keep(inquiry, before, posted, record)
        # If tracing begins, the trace makes the visitor id. It was not answered here, so it is not counted.
        _, ended = self._tracing.answered(inquiry, posted, record, traces=False, is_new=False)
        return record, [field for _, field in ended]
