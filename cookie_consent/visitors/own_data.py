"""What is kept about a visitor, for the visitor alone: to see, to take along, to comment on, to erase.

Who holds the signed cookies is the visitor; nothing else is asked for (GDPR Articles 15 to 17 and 20).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from anyio import CapacityLimiter, to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.dates import seconds_of
from cookie_consent.base.forms import read_fields, readable
from cookie_consent.base.json_chunks import json_chunks
from cookie_consent.base.limits import RateLimit
from cookie_consent.base.problem import Problem, too_many
from cookie_consent.decision.decision import consents
from cookie_consent.decision.visit import Visit, cookies_of, is_secure
from cookie_consent.decision.visitor_cookie import Withdrawn
from cookie_consent.ledgers import records as proof
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.visitors.answer import read_body, refuse_cross_site
from cookie_consent.visitors.installation import Installation
from cookie_consent.visitors.pages.evidence import body_of, explain
from cookie_consent.visitors.pages.pages import Kept
from cookie_consent.visitors.pages.wording import Wording
from cookie_consent.visitors.past_policies import policy_of
from cookie_consent.visitors.responses import JSONInChunks, answer_of, page, wants_json

LONGEST_NOTE = 2000
"""Characters."""
_MOST_NOTES = 20
_SHOWN = 50
"""So many records stand on a page, the newest; an export has them all."""
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_MOST, _WITHIN = 60, 600.0
"""So many requests in so many seconds may be about what is kept of one visitor."""
_FEW = 4
"""So many access logs are looked through at once; others wait for their turn."""


class OwnData:
    """Answers the requests about what is kept of who asks."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._limit = RateLimit(_MOST, _WITHIN)
        # Not the threads of the app's own endpoints: each of these may take a second and more.
        self._few = CapacityLimiter(_FEW)

    async def kept(self, request: Request, visit: Visit) -> Kept:
        """Return in short what is kept. A ledger that is down must not keep the settings page from its readers."""
        try:
            records = await self._count(visit)
        except Problem:
            records = 0
        return Kept(
            consent_id=visit.decision.consent_id,
            records=records,
            visitor_id=self._visitor_id(request) or "",
            takes_requests=self._installed.ledger is not None,
            refused_unnamed=self._refused_unnamed(visit),
            withdrawn=self._withdrawn(request),
        )

    async def receipt(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the receipt of the visitor's answer."""
        document = await self._document(request, visit)
        return JSONResponse(receipt(document, await self._policy_of(document), self._address(request)))

    async def receipt_page(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the same as a page, to read and to print."""
        document = await self._document(request, visit)
        policy, address = await self._policy_of(document), self._address(request)
        # In the words of then, where they were offered in the language of now.
        then = {"policy": policy, "words": Wording(policy, language)} if language in policy.site.languages else {}
        return self._page("receipt.html", request, visit, language, document=document, address=address, **then)

    async def records(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with a page of the visitor's newest records, and of the notes to them."""
        self._slow_down(request, visit)
        records = await self._records(visit, most=_SHOWN * (1 + _MOST_NOTES))
        notes: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if record["event"] == "note":
                notes.setdefault(record["about"], []).append(record)
        return self._page(
            "records.html",
            request,
            visit,
            language,
            records=[record for record in reversed(records) if record["event"] != "note"][:_SHOWN],
            count=await self._count(visit),
            refused_unnamed=self._refused_unnamed(visit),
            notes=notes,
            kept_until={id_: seconds_of(record["keep_until"]) for id_, record in _by_id(records).items()},
            notice="note_kept" if "noted" in request.query_params else "",
            longest=LONGEST_NOTE,
        )

    async def note(self, request: Request, visit: Visit, language: str) -> Response:
        """Attach a note to a record of the visitor's."""
        refuse_cross_site(self._installed, request)
        self._slow_down(request, visit)
        fields = read_fields(request.headers.get("content-type", ""), await read_body(request))
        language = self._language_in(fields) or language
        records = await self._records(visit)
        about = _by_id(records).get(fields.get("record", ""))
        if about is None:
            raise Problem(404, "You have no such record.", "error_not_found").shown_in(language)
        if sum(record.get("about") == about["record_id"] for record in records) >= _MOST_NOTES:
            raise Problem(409, f"A record has at most {_MOST_NOTES} notes.", "error_too_many").shown_in(language)
        text = readable(fields.get("note", ""))
        if not text or len(text) > LONGEST_NOTE:
            detail = f"A note has between 1 and {LONGEST_NOTE} characters."
            raise Problem(400, detail, "error_no_text").shown_in(language)
        own, ledger = self._installed, self._installed.ledger
        assert ledger is not None  # noqa: S101 (it has the record)
        entry = proof.note_entry(
            about,
            proof.Circumstances(record_id=own.own.new_id(), policy=own.policy, lifetime=own.own.lifetime),
            now=own.clock(),
            text=text,
            language=language,
            previous=records[-1]["record_id"],
        )
        kept = await answer_of(ledger.append(entry))
        if wants_json(request):
            return JSONResponse(kept, 201)
        return RedirectResponse(f"{own.base(request.scope)}/records?language={language}&noted", status_code=303)

    async def shown(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with what the visitor was shown when a record of the visitor's was made, by `?record=`."""
        self._slow_down(request, visit)
        record = _by_id(await self._records(visit)).get(request.query_params.get("record", ""))
        ledger = self._installed.ledger
        explained = await answer_of(explain(ledger, record)) if record and ledger is not None else None
        if record is None or explained is None:
            raise Problem(404, "There is no text to this record, or it is not yours.", "error_not_found")
        text, shown_in = explained.html, record["language"]
        if "prevailing" in request.query_params:
            text, shown_in = explained.prevailing_html, record["prevailing_language"]
        own_text = Markup(body_of(text))  # noqa: S704 (made by our templates)
        return self._page("shown.html", request, visit, language, record=record, text=own_text, shown_in=shown_in)

    async def export(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with everything that is kept about the visitor."""
        self._slow_down(request, visit)
        own, record, visitor_id = self._installed, visit.decision.record, self._visitor_id(request)
        records = await self._records(visit)
        answers = [kept for kept in records if "expires_at" in kept]
        policies = {version: await policy_of(own, version) for version in {kept["policy"] for kept in answers}}
        address, log, ledger = self._address(request), own.access_log, own.ledger
        ids, withdrawn = self._visitor_ids(request), [one.visitor_id for one in self._withdrawn(request)]
        requests: list[Any] = []
        if ledger is not None and visit.decision.consent_id:
            export = partial(ledger.requests.export, visit.decision.consent_id)
            requests = await answer_of(to_thread.run_sync(export, abandon_on_cancel=True))

        def written() -> list[bytes]:
            traces = chain.from_iterable(map(log.sink.read, ids)) if log is not None else iter(())
            members = {
                "consent": proof.document(record, own.own.lifetime) if record else None,
                "consent_records": iter(records),
                "receipts": (receipt(kept, policies[kept["policy"]], address) for kept in answers),
                "visitor_id": visitor_id,
                "withdrawn_visitor_ids": withdrawn,
                "access_records": traces,
                "requests": iter(requests),
                "meanings": {kind: dict(fields) for kind, fields in MEANINGS.items()},
            }
            return [*json_chunks(members)]

        # All of it before the response starts: an export is whole, or none.
        chunks = await answer_of(to_thread.run_sync(written, limiter=self._few), None)
        return JSONInChunks(chunks, {"content-disposition": 'attachment; filename="privacy-export.json"'})

    async def erase(self, request: Request, visit: Visit, language: str) -> Response:
        """Erase the visitor's access records and the visitor id; say what stays, and why."""
        refuse_cross_site(self._installed, request)
        self._slow_down(request, visit)
        body = await read_body(request)
        with suppress(Problem):  # it may say what it likes, or nothing
            language = self._language_in(read_fields(request.headers.get("content-type", ""), body)) or language
        own, log, erased = self._installed, self._installed.access_log, 0
        # First: where the ledger is down nothing is erased, as the visitor is told then.
        stays = [record["record_id"] for record in await self._records(visit)]
        visitor_ids = self._visitor_ids(request)
        if log is not None:
            for visitor_id in visitor_ids:
                erased += await self._erase(log, visitor_id)
        base, what = own.base(request.scope), "" if visitor_ids else "=nothing"
        response: Response = RedirectResponse(f"{base}?language={language}&erased{what}", status_code=303)
        if wants_json(request):
            why = "They prove that you were asked and what you answered (GDPR Article 7(1))." if stays else None
            response = JSONResponse({"erased": erased, "consent_records": stays, "why": why})
        secure = is_secure(request.scope)
        for kind, found in (
            ("visitor", self._visitor_id(request)),
            ("erasure", self._withdrawn(request)),
        ):
            if found:
                field = own.own.forget_visitor(kind, base=base, secure=secure)
                response.raw_headers.append((b"set-cookie", field))
        return response

    async def _erase(self, log: AccessLog, visitor_id: str) -> int:
        """Erase the access records of a pseudonym; return how many."""
        self._installed.recent_answers.erased(visitor_id)
        erased: int = await answer_of(to_thread.run_sync(log.sink.erase, visitor_id, limiter=self._few), None)
        self._installed.recent_answers.erased(visitor_id)  # of the requests that came meanwhile, too
        log.erasing.again(visitor_id)
        return erased

    def _page(self, template: str, request: Request, visit: Visit, language: str, **more: object) -> Response:
        base = self._installed.base(request.scope)
        html = self._installed.pages.page(template, visit.decision, base=base, language=language, **more)
        return page(html, language)

    def _language_in(self, fields: Mapping[str, str]) -> str:
        """Return the language of the page that a form stood in; "" where the form does not say."""
        language = fields.get("language", "")
        return language if language in self._installed.policy.site.languages else ""

    async def _records(self, visit: Visit, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of the visitor's consent id, oldest first: all, or the newest so many."""
        consent_id, ledger = visit.decision.consent_id, self._installed.ledger
        return await answer_of(ledger.records(consent_id, most)) if ledger is not None and consent_id else []

    async def _count(self, visit: Visit) -> int:
        """Return how many records the visitor's consent id has; notes to them are none."""
        consent_id, ledger = visit.decision.consent_id, self._installed.ledger
        return await answer_of(ledger.count(consent_id)) if ledger is not None and consent_id else 0

    def _refused_unnamed(self, visit: Visit) -> bool:
        """Return whether the visitor has refused, and nothing says which record is that."""
        record = visit.decision.record
        if record is None or record.consent_id or self._installed.ledger is None:
            return False
        return not consents(visit.decision.policy, record)

    async def _document(self, request: Request, visit: Visit) -> dict[str, Any]:
        """Return the record of the answer that holds: as the ledger keeps it, else what the cookie says of it."""
        self._slow_down(request, visit)
        record = visit.decision.record
        if record is None:
            raise Problem(404, "There is no answer that a receipt could be given for.", "error_not_found")
        document = proof.document(record, self._installed.own.lifetime)
        own = [kept for kept in await self._records(visit) if _is_of(document, kept)]
        return own[-1] if own else document

    async def _policy_of(self, document: dict[str, Any]) -> Policy:
        """Return the policy that a record's answer was given to."""
        return await policy_of(self._installed, document["policy"])

    def _address(self, request: Request) -> str:
        """Return the whole address of the endpoints, for what leaves the site; a path where the host is not known."""
        base, host = self._installed.base(request.scope), request.headers.get("host", "")
        return f"{request.scope.get('scheme', 'http')}://{host}{base}" if _HOST.fullmatch(host) else base

    def _visitor_id(self, request: Request) -> str | None:
        """Return the visitor's pseudonym. What was traced is the visitor's own also while tracing is not allowed."""
        secure, now = is_secure(request.scope), self._installed.clock()
        known = self._installed.own.visitor(cookies_of(request.scope), now, secure=secure)
        return known.id if known else None

    def _withdrawn(self, request: Request) -> tuple[Withdrawn, ...]:
        """Return the pseudonyms of before a withdrawal."""
        secure, now = is_secure(request.scope), self._installed.clock()
        return self._installed.own.withdrawn(cookies_of(request.scope), now, secure=secure)

    def _visitor_ids(self, request: Request) -> list[str]:
        """Return all the visitor's pseudonyms that access records may have, those of before a withdrawal first."""
        now = self._visitor_id(request)
        ids = [one.visitor_id for one in self._withdrawn(request)]
        return ids if now is None or now in ids else [*ids, now]

    def _slow_down(self, request: Request, visit: Visit) -> None:
        """Raise a Problem where too much is asked about one visitor; who has no cookie of ours has nothing here."""
        key = visit.decision.consent_id or "".join(self._visitor_ids(request)[:1])
        wait = self._limit.wait(key, self._installed.clock()) if key else 0
        if wait:
            raise too_many(wait, f"At most {_MOST} requests in {_WITHIN:.0f} seconds.")


def _by_id(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the records of answers by their ids; notes are none."""
    return {record["record_id"]: record for record in records if record["event"] != "note"}


def _is_of(document: dict[str, Any], kept: dict[str, Any]) -> bool:
    """Return whether a record is that of an answer, by what the cookie says of it."""
    return all(kept.get(name) == document[name] for name in ("decided_at", "granted", "refused", "source"))
