"""Everything that is kept about a visitor, for the visitor alone: to take along, and to erase."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.forms import read_body, read_fields
from cookie_consent.base.json_chunks import json_chunks
from cookie_consent.base.problem import Problem
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers import records as proof
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.visitors.answers.recent_answers import RecentAnswers
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.kept_data import KeptData
from cookie_consent.visitors.own_records import whole_address
from cookie_consent.visitors.past_policies import PastPolicies
from cookie_consent.visitors.responses import JSONInChunks, from_store

_FEW = 4
"""How many access logs are searched at once. Others wait for their turn."""


class OwnData:
    """Gives visitors everything that is kept about them, and erases what need not stay.

    Args:
        policy: the site's policy.
        own: our own cookies.
        ledger: keeps consent records, or None.
        access_log: keeps access records, or None.
        kept: finds what is kept about a visitor.
        past_policies: finds the policies that records were made under.
        recent_answers: remembers an erasure for the requests that run meanwhile.
    """

    def __init__(  # noqa: PLR0913 (all stores have to do with it)
        self,
        policy: Policy,
        own: OwnCookies,
        *,
        ledger: Ledger | None,
        access_log: AccessLog | None,
        kept: KeptData,
        past_policies: PastPolicies,
        recent_answers: RecentAnswers,
    ) -> None:
        self._policy, self._own, self._ledger, self._log = policy, own, ledger, access_log
        self._kept, self._past_policies, self._recent_answers = kept, past_policies, recent_answers
        # Not the threads of the app's own endpoints: each of these may take a second and more.
        self._few = CapacityLimiter(_FEW)

    async def export(self, inquiry: Inquiry) -> Response:
        """Answer with everything that is kept about the visitor."""
        self._kept.slow_down(inquiry)
        own, log, record = self._own, self._log, inquiry.visit.decision.record
        records = await self._kept.records(inquiry)
        answers = [kept for kept in records if "expires_at" in kept]
        versions = {kept["policy"] for kept in answers}
        policies = {version: await self._past_policies.policy(version) for version in versions}
        requests = await self._requests(inquiry.visit.decision.consent_id)
        ids, address = self._kept.visitor_ids(inquiry), whole_address(inquiry)

        def written() -> list[bytes]:
            traces = chain.from_iterable(map(log.sink.read, ids)) if log is not None else iter(())
            members = {
                "consent": proof.document(record, own.lifetime) if record else None,
                "consent_records": iter(records),
                "receipts": (receipt(kept, policies[kept["policy"]], address) for kept in answers),
                "visitor_id": self._kept.visitor_id(inquiry),
                "withdrawn_visitor_ids": [one.visitor_id for one in self._kept.withdrawn(inquiry)],
                "access_records": traces,
                "requests": iter(requests),
                "meanings": {kind: dict(fields) for kind, fields in MEANINGS.items()},
            }
            return [*json_chunks(members)]

        # All of it before the response starts: an export is whole, or none.
        chunks = await from_store(to_thread.run_sync(written, limiter=self._few), None)
        return JSONInChunks(chunks, {"content-disposition": 'attachment; filename="privacy-export.json"'})

    async def _requests(self, consent_id: str) -> list[Any]:
        """Return the visitor's requests to the help desk."""
        if self._ledger is None or not consent_id:
            return []
        export = partial(self._ledger.requests.export, consent_id)
        return await from_store(to_thread.run_sync(export, abandon_on_cancel=True))

    async def erase(self, inquiry: Inquiry) -> Response:
        """Erase the visitor's access records and the visitor id; say what stays, and why.

        Raises:
            Problem: 413, 429; 503, what is kept cannot be reached, and nothing more is erased.
        """
        self._kept.slow_down(inquiry)
        language = await self._language(inquiry)
        # First: where the ledger is down nothing is erased, as the visitor is told then.
        stays = [record["record_id"] for record in await self._kept.records(inquiry)]
        visitor_ids, erased = self._kept.visitor_ids(inquiry), 0
        if self._log is not None:
            for visitor_id in visitor_ids:
                erased += await self._erase(self._log, visitor_id)
        if inquiry.wants_json:
            why = "They prove that you were asked and what you answered (GDPR Article 7(1))." if stays else None
            response: Response = JSONResponse({"erased": erased, "consent_records": stays, "why": why})
        else:
            what = "" if visitor_ids else "=nothing"
            response = RedirectResponse(f"{inquiry.base}?language={language}&erased{what}", status_code=303)
        response.raw_headers.extend((b"set-cookie", field) for field in self._forgotten(inquiry))
        return response

    async def _language(self, inquiry: Inquiry) -> str:
        """Return the language of the page that the form stood in, if the body says it."""
        body = await read_body(inquiry.request.stream())
        with suppress(Problem):  # it may say what it likes, or nothing
            language = read_fields(inquiry.content_type, body).get("language", "")
            if language in self._policy.site.languages:
                return language
        return inquiry.language

    async def _erase(self, log: AccessLog, visitor_id: str) -> int:
        """Erase the access records of a pseudonym; return how many."""
        self._recent_answers.erased(visitor_id)
        erased: int = await from_store(to_thread.run_sync(log.sink.erase, visitor_id, limiter=self._few), None)
        self._recent_answers.erased(visitor_id)  # of the requests that came meanwhile, too
        log.erasing.again(visitor_id)
        return erased

    def _forgotten(self, inquiry: Inquiry) -> list[bytes]:
        """Return the Set-Cookie fields that delete the visitor's pseudonyms."""
        found = {"visitor": self._kept.visitor_id(inquiry), "erasure": self._kept.withdrawn(inquiry)}
        return [
            self._own.forget_visitor(kind, base=inquiry.base, secure=inquiry.secure)
            for kind, ids in found.items()
            if ids
        ]
