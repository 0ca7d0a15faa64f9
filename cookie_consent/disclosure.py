"""What visitors and programs may see under the prefix: the settings page, and the same as data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from cookie_consent.answering import LEDGER_WAIT, read_body, refuse_cross_site, state
from cookie_consent.cookie_fields import expire_cookie
from cookie_consent.installation import Installation
from cookie_consent.policy import Policy
from cookie_consent.problem import Problem
from cookie_consent.receipt import document, receipt
from cookie_consent.same_site import safe_next
from cookie_consent.visits import Visit, is_secure

_STRICT = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
}

_log = logging.getLogger("cookie_consent")

Kept = TypeVar("Kept")


def page(html: str, language: str, status: int = 200) -> Response:
    """Return a page of ours: no script, no frame, nothing from elsewhere."""
    return HTMLResponse(html, status, headers={**_STRICT, "content-language": language})


class Disclosure:
    """Answers the requests that do not write consent."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed

    async def settings(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the settings page."""
        next_path = safe_next(request.query_params.get("next", "")) or ""
        notice = "erased" if "erased" in request.query_params else ""
        return self.settings_page(request, visit, language, next_path=next_path, notice=notice)

    def settings_page(
        self, request: Request, visit: Visit, language: str, *, next_path: str, notice: str, status: int = 200
    ) -> Response:
        """Return the settings page.

        Args:
            request: who asks for it.
            visit: what is known of the visitor.
            language: an offered language.
            next_path: a path on this site to go on to; "" for none.
            notice: the name of a text to show as a message; "" for none.
            status: the HTTP status code.
        """
        html = self._installed.pages.settings(
            visit.decision,
            base=self._installed.base(request.scope),
            language=language,
            next_path=next_path,
            notice=notice,
            own_cookies=self._installed.own.declared(visit.decision.policy, secure=is_secure(request.scope)),
        )
        return page(html, language, status)

    async def state(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with what holds for the visitor; on a page of a service, with `?page=` and its path."""
        path = request.query_params.get("page", "")
        if path.startswith("/"):
            visit = self._installed.visits.read(request.scope, path)
        return JSONResponse(state(self._installed, visit.decision))

    async def receipt(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the receipt of the visitor's answer."""
        record = visit.decision.record
        if record is None:
            raise Problem(404, "There is no answer that a receipt could be given for.")
        own = self._installed
        return JSONResponse(receipt(record, own.policy, own.own.lifetime, own.base(request.scope)))

    async def export(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with everything that is kept about the visitor."""
        record, sink, ledger = visit.decision.record, self._installed.sink, self._installed.ledger
        records: list[Any] = []
        if ledger is not None and record is not None and record.consent_id:
            records = await _answer_of(ledger.records(record.consent_id), LEDGER_WAIT)
        traces: list[Any] = []
        visitor_id = self._visitor_id(request, visit)
        if sink is not None and visitor_id is not None:
            traces = await _answer_of(run_in_threadpool(lambda: list(sink.read(visitor_id))))
        return JSONResponse(
            {
                "consent": document(record) if record else None,
                "consent_records": records,
                "visitor_id": visitor_id,
                "access_records": traces,
            },
            headers={"content-disposition": 'attachment; filename="privacy-export.json"'},
        )

    async def erase(self, request: Request, visit: Visit, language: str) -> Response:
        """Erase the visitor's access records and the visitor id."""
        refuse_cross_site(request)
        await read_body(request)
        sink, erased = self._installed.sink, 0
        visitor_id = self._visitor_id(request, visit)
        if sink is not None and visitor_id is not None:
            erased = await _answer_of(run_in_threadpool(sink.erase, visitor_id))
        response: Response = JSONResponse({"erased": erased})
        if "json" not in request.headers.get("accept", ""):
            response = RedirectResponse(
                f"{self._installed.base(request.scope)}?language={language}&erased", status_code=303
            )
        if visitor_id is not None:
            secure = is_secure(request.scope)
            name = self._installed.own.name("visitor", secure=secure)
            response.raw_headers.append((b"set-cookie", expire_cookie(name.encode(), secure=secure)))
        return response

    async def policy(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the policy in force."""
        return JSONResponse(_versioned(self._installed.policy))

    async def earlier_policy(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with a policy as it was when somebody answered."""
        version = request.path_params["version"]
        for known in (self._installed.policy, *self._installed.policy.history):
            if known.version == version:
                return JSONResponse(_versioned(known))
        ledger = self._installed.ledger
        found = await _answer_of(ledger.policy(version), LEDGER_WAIT) if ledger is not None else None
        if found is None:
            raise Problem(404, "There is no such version of the policy.")
        return JSONResponse({"version": version, **found})

    async def gpc(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer whether Global Privacy Control is honoured (its section "Support Resource")."""
        policy = self._installed.policy
        support: dict[str, Any] = {"gpc": policy.signals.gpc != ()}
        if policy.changes:
            support["lastUpdate"] = max(change.date for change in policy.changes).isoformat()
        return JSONResponse(support)

    def _visitor_id(self, request: Request, visit: Visit) -> str | None:
        """Return the visitor's pseudonym. What was traced is the visitor's own also while tracing is not allowed."""
        secure, now = is_secure(request.scope), self._installed.clock()
        known = self._installed.own.visitor(visit.cookies, now, secure=secure)
        return known[0] if known else None


async def _answer_of(store: Awaitable[Kept], longest: float | None = None) -> Kept:
    """Return what a ledger or sink answers, if it does within so many seconds."""
    try:
        async with asyncio.timeout(longest):
            return await store
    except Exception:  # noqa: BLE001 (whatever it raises, the answer would not be true without it)
        _log.exception("What is kept could not be read or erased; the request was refused.")
        raise Problem(503, "What is kept cannot be reached just now.", "error_unavailable") from None


def _versioned(policy: Policy) -> dict[str, Any]:
    return {"version": policy.version, **policy.document()}
