"""Everything that the site stores about a visitor: export and erasure, for the visitor alone."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.kept_data import KeptData
from cookie_consent.endpoints.own_records import absolute_url
from cookie_consent.endpoints.past_policies import PastPolicies
from cookie_consent.endpoints.responses import JSONInChunks, json_chunks, wait_for_store
from cookie_consent.http.forms import Problem, read_body, read_fields
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers import records as proof
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.policy.policy import Policy
from cookie_consent.sinks.store import read_readable
from cookie_consent.tracing.access_log import AccessLog

_log = logging.getLogger("cookie_consent")
_FEW = 4
"""How many access logs are searched at once. Further requests wait."""


class OwnData:
    """Exports everything stored about a visitor, and erases what the site need not keep.

    Args:
        policy: the site's policy.
        own_cookies: the middleware's own cookies.
        ledger: the ledger of consent records, or None.
        access_log: the access log, or None.
        kept: finds what is stored about a visitor.
        past_policies: finds the policies of old records.
    """

    def __init__(
        self,
        policy: Policy,
        own_cookies: OwnCookies,
        *,
        ledger: Ledger | None,
        access_log: AccessLog | None,
        kept: KeptData,
        past_policies: PastPolicies,
    ) -> None:
        self._policy, self._own_cookies, self._ledger, self._log = policy, own_cookies, ledger, access_log
        self._kept = kept
        self._past_policies = past_policies
        # A limiter of its own: an export can take seconds, and must not occupy the threads of the app's endpoints.
        self._few = CapacityLimiter(_FEW)

    async def export(self, inquiry: Inquiry) -> Response:
        """Respond with everything that is stored about the visitor, as JSON.

        - `consent`: the answer in the consent cookie, or null.
        - `consent_records`: the records in the ledger, oldest first.
        - `receipts`: the receipt of each.
        - `visitor_id`: the visitor id in the visitor cookie, or null.
        - `withdrawn_visitor_ids`: those of before a withdrawal, as long as records may be left.
        - `access_records`: the access records of all these ids.
        - `access_records_complete`: false if records are missing, because the site cannot read a file of its log.
        - `requests`: the visitor's requests to the help desk.
        - `meanings`: field -> its meaning, for each of these kinds of records.

        Raises:
            Problem: 429, too many requests; 503, a store cannot be read.
        """
        self._kept.limit_rate(inquiry)
        log, current = self._log, inquiry.visit.decision.record
        records = await self._kept.records(inquiry)
        answers = [record for record in records if "expires_at" in record]
        versions = {record["policy"] for record in answers}
        policies = {version: await self._past_policies.policy(version) for version in versions}
        requests = await self._requests(inquiry.visit.decision.consent_id)
        ids, address = self._kept.visitor_ids(inquiry), absolute_url(inquiry)

        def read_all() -> list[bytes]:
            traces, missing = (
                read_readable(chain.from_iterable(map(log.sink.read, ids))) if log is not None else ([], "")
            )
            if missing:
                _log.error("A visitor's export lacks access records: %s", missing)
            members = {
                "consent": proof.document(current) if current else None,
                "consent_records": iter(records),
                "receipts": (receipt(record, policies[record["policy"]], address) for record in answers),
                "visitor_id": self._kept.visitor_id(inquiry),
                "withdrawn_visitor_ids": [one.visitor_id for one in self._kept.withdrawn(inquiry)],
                "access_records": iter(traces),
                "access_records_complete": not missing,
                "requests": iter(requests),
                "meanings": {kind: dict(fields) for kind, fields in MEANINGS.items()},
            }
            return [*json_chunks(members)]

        # Read everything before the response starts: an export is complete, or an error.
        chunks = await wait_for_store(to_thread.run_sync(read_all, limiter=self._few), None)
        return JSONInChunks(chunks, {"content-disposition": 'attachment; filename="privacy-export.json"'})

    async def _requests(self, consent_id: str) -> list[Any]:
        """Return the visitor's requests to the help desk."""
        if self._ledger is None or not consent_id:
            return []
        listed = partial(self._ledger.requests.listed, consent_id)
        requests = await wait_for_store(to_thread.run_sync(listed, abandon_on_cancel=True))
        return [request.document() for request in requests]

    async def erase(self, inquiry: Inquiry) -> Response:
        """Erase the visitor's access records and visitor id. The response says what stays, and why.

        - `erased`: how many access records were erased.
        - `consent_records`: ids of the consent records that stay.
        - `why`: why they stay, or null.

        Raises:
            Problem: 413, the body is too large; 429, too many requests; 503, a store cannot be reached. Nothing more is
                erased then.
        """
        self._kept.limit_rate(inquiry)
        language = await self._language(inquiry)
        # Read the ledger first: if it is down, nothing is erased, as the error page says.
        remaining = [record["record_id"] for record in await self._kept.records(inquiry)]
        visitor_ids, erased = self._kept.visitor_ids(inquiry), 0
        if self._log is not None:
            for visitor_id in visitor_ids:
                erased += await self._erase(self._log, visitor_id)
        if inquiry.wants_json:
            why = "They prove that you were asked and what you answered (GDPR Article 7(1))." if remaining else None
            response: Response = JSONResponse({"erased": erased, "consent_records": remaining, "why": why})
        else:
            suffix = "" if visitor_ids else "=nothing"
            response = RedirectResponse(f"{inquiry.base}?language={language}&erased{suffix}", status_code=303)
        response.raw_headers.extend((b"set-cookie", field) for field in self._deletion_fields(inquiry))
        return response

    async def _language(self, inquiry: Inquiry) -> str:
        """Return the language of the form's page if the body names it, else that of the request."""
        body = await read_body(inquiry.request.stream())
        with suppress(Problem):  # an unreadable body is no reason to refuse an erasure
            language = read_fields(inquiry.content_type, body).get("language", "")
            if language in self._policy.site.languages:
                return language
        return inquiry.language

    async def _erase(self, log: AccessLog, visitor_id: str) -> int:
        """Erase the access records of a pseudonym, and return their number."""
        log.tracing.end_visitor(visitor_id)
        erased: int = await wait_for_store(to_thread.run_sync(log.sink.erase, visitor_id, limiter=self._few), None)
        log.erasing.again(visitor_id)
        return erased

    def _deletion_fields(self, inquiry: Inquiry) -> list[bytes]:
        """Return the Set-Cookie fields that delete the visitor's pseudonyms."""
        stored = {"visitor": self._kept.visitor_id(inquiry), "erasure": self._kept.withdrawn(inquiry)}
        return [
            *self._own_cookies.forget_host_only(stored, inquiry.cookies, base=inquiry.base, place=inquiry.place),
            *(
                self._own_cookies.forget_visitor(kind, base=inquiry.base, place=inquiry.place)
                for kind, ids in stored.items()
                if ids
            ),
        ]
