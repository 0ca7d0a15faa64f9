"""A visitor's own consent records: pages to read them and comment on them, and receipts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.dates import seconds_of
from cookie_consent.base.forms import read_body, read_fields, readable
from cookie_consent.base.problem import Problem
from cookie_consent.base.random_ids import new_id
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers import records as proof
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.kept_data import KeptData
from cookie_consent.visitors.pages.evidence import body_of, explain
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.wording import Wording
from cookie_consent.visitors.past_policies import PastPolicies
from cookie_consent.visitors.responses import page, wait_for_store

LONGEST_NOTE = 2000
"""In characters."""
_MAX_NOTES = 20
_SHOWN = 50
"""How many records a page shows, the newest first. An export has all."""
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class OwnRecords:
    """Serves the visitor's own consent records.

    Args:
        policy: the site's policy.
        own_cookies: the middleware's own cookies.
        pages: renders the pages.
        ledger: the ledger of consent records, or None.
        kept: finds what is stored about a visitor.
        past_policies: finds the policies of old records.
    """

    def __init__(
        self,
        policy: Policy,
        own_cookies: OwnCookies,
        pages: Pages,
        *,
        ledger: Ledger | None,
        kept: KeptData,
        past_policies: PastPolicies,
    ) -> None:
        self._policy, self._own_cookies, self._pages, self._ledger = policy, own_cookies, pages, ledger
        self._kept, self._past_policies = kept, past_policies

    async def receipt(self, inquiry: Inquiry) -> Response:
        """Respond with the receipt of the current answer, as JSON."""
        document = await self._document(inquiry)
        policy = await self._past_policies.policy(document["policy"])
        return JSONResponse(receipt(document, policy, absolute_url(inquiry)))

    async def receipt_page(self, inquiry: Inquiry) -> Response:
        """Respond with the receipt as a page, to read and print."""
        document = await self._document(inquiry)
        policy, address = await self._past_policies.policy(document["policy"]), absolute_url(inquiry)
        # Use the wording of that policy, if it was offered in the current language.
        is_offered = inquiry.language in policy.site.languages
        then = {"policy": policy, "words": Wording(policy, inquiry.language)} if is_offered else {}
        return self._page("receipt.html", inquiry, document=document, address=address, **then)

    async def records(self, inquiry: Inquiry) -> Response:
        """Respond with a page of the visitor's newest records and their notes."""
        self._kept.limit_rate(inquiry)
        # Enough to have the newest records among them, even if each has all of its notes.
        records = await self._kept.records(inquiry, most=_SHOWN * (1 + _MAX_NOTES))
        notes: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if record["event"] == "note":
                notes.setdefault(record["about"], []).append(record)
        return self._page(
            "records.html",
            inquiry,
            records=[record for record in reversed(records) if record["event"] != "note"][:_SHOWN],
            count=await self._kept.count(inquiry),
            refused_without_id=self._kept.refused_without_id(inquiry),
            notes=notes,
            kept_until={id_: seconds_of(record["keep_until"]) for id_, record in _by_id(records).items()},
            notice="note_kept" if "noted" in inquiry.request.query_params else "",
            longest=LONGEST_NOTE,
        )

    async def note(self, inquiry: Inquiry) -> Response:
        """Attach the visitor's note to one of the visitor's records.

        - `record`: the id of the record.
        - `note`: the text, at most 2000 characters.

        Raises:
            Problem: 400 or 413, the note is unreadable or too long; 404, the visitor has no such record; 409, the
                record has too many notes; 429, too many requests; 503, the ledger cannot be reached.
        """
        self._kept.limit_rate(inquiry)
        fields = read_fields(inquiry.content_type, await read_body(inquiry.request.stream()))
        if fields.get("language") in self._policy.site.languages:
            inquiry = replace(inquiry, language=fields["language"])
        try:
            entry = await self._attach(inquiry, fields)
        except Problem as problem:
            problem.language = inquiry.language
            raise
        if inquiry.wants_json:
            return JSONResponse(entry, 201)
        return RedirectResponse(f"{inquiry.base}/records?language={inquiry.language}&noted", status_code=303)

    async def _attach(self, inquiry: Inquiry, fields: Mapping[str, str]) -> Mapping[str, Any]:
        """Attach a note, and return its record."""
        records = await self._kept.records(inquiry)
        about = _by_id(records).get(fields.get("record", ""))
        if about is None or self._ledger is None:
            raise Problem(404, "You have no such record.", "error_not_found")
        if sum(record.get("about") == about["record_id"] for record in records) >= _MAX_NOTES:
            raise Problem(409, f"A record has at most {_MAX_NOTES} notes.", "error_too_many")
        text = readable(fields.get("note", ""))
        if not text or len(text) > LONGEST_NOTE:
            raise Problem(400, f"A note has between 1 and {LONGEST_NOTE} characters.", "error_no_text")
        own_cookies = self._own_cookies
        entry = proof.note_entry(
            about,
            proof.RecordContext(record_id=new_id(), policy=self._policy, lifetime=own_cookies.lifetime),
            now=inquiry.now,
            text=text,
            language=inquiry.language,
            previous=records[-1]["record_id"],
        )
        return await wait_for_store(self._ledger.append(entry))

    async def shown(self, inquiry: Inquiry) -> Response:
        """Respond with the text that the visitor saw when answering, for the record `?record=`.

        `?prevailing` asks for the text in the prevailing language.

        Raises:
            Problem: 404, the visitor has no such record, or it has no text; 429, too many requests; 503, the ledger
                cannot be reached.
        """
        self._kept.limit_rate(inquiry)
        query, ledger = inquiry.request.query_params, self._ledger
        record = _by_id(await self._kept.records(inquiry)).get(query.get("record", ""))
        explained = await wait_for_store(explain(ledger, record)) if record and ledger is not None else None
        if record is None or explained is None:
            raise Problem(404, "There is no text to this record, or it is not yours.", "error_not_found")
        text, shown_in = explained.html, record["language"]
        if "prevailing" in query:
            text, shown_in = explained.prevailing_html, record["prevailing_language"]
        body = Markup(body_of(text))  # noqa: S704 (rendered by the templates of this package)
        return self._page("shown.html", inquiry, record=record, text=body, shown_in=shown_in)

    async def _document(self, inquiry: Inquiry) -> dict[str, Any]:
        """Return the record of the current answer, from the ledger or else from the cookie.

        Raises:
            Problem: 404, there is no answer.
        """
        self._kept.limit_rate(inquiry)
        record = inquiry.visit.decision.record
        if record is None:
            raise Problem(404, "There is no answer that a receipt could be given for.", "error_not_found")
        document = proof.document(record, self._own_cookies.lifetime)
        matching = [stored for stored in await self._kept.records(inquiry) if _is_of(document, stored)]
        return matching[-1] if matching else document

    def _page(self, template: str, inquiry: Inquiry, **more: object) -> Response:
        decision, language = inquiry.visit.decision, inquiry.language
        return page(self._pages.page(template, decision, base=inquiry.base, language=language, **more), language)


def absolute_url(inquiry: Inquiry) -> str:
    """Return the full URL of the endpoints, for documents that leave the site; their path if the host is not valid."""
    host, scheme = inquiry.request.headers.get("host", ""), inquiry.request.scope.get("scheme", "http")
    return f"{scheme}://{host}{inquiry.base}" if _HOST.fullmatch(host) else inquiry.base


def _by_id(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return record id -> record, without notes."""
    return {record["record_id"]: record for record in records if record["event"] != "note"}


def _is_of(document: dict[str, Any], record: dict[str, Any]) -> bool:
    """Tell whether a record in the ledger is the answer in the cookie."""
    names = ("decided_at", "granted", "refused", "source")
    return all(record.get(name) == document.get(name) for name in names)
