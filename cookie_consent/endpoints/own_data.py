"""What the site keeps about a visitor: the summary, the receipt, the export and the erasure, for the visitor alone.

The signed cookies identify the visitor. No other proof is asked for (GDPR Articles 15 to 17 and 20).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from anyio import to_thread
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from cookie_consent.decision.own_cookies import ERASURE, VISITOR
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.endpoints.request import OwnRequest, limit_rate, wait_for_store
from cookie_consent.http.forms import Problem, read_body
from cookie_consent.http.site import Site
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.ledgers.records import describe_record
from cookie_consent.pages.pages import NOTHING_KEPT
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy
from cookie_consent.sinks.store import read_readable

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_SAME_ANSWER = ("decided_at", "granted", "refused", "source")
"""The fields in which the record of an answer in the ledger equals the one in the cookie."""
LARGEST_CHUNK = 64 * 1024
"""Bytes."""
_log = logging.getLogger("cookie_consent")


async def summarize(site: Site, request: OwnRequest) -> dict[str, Any]:
    """Return what is kept, as `Pages.settings` takes it. If the ledger fails, it counts no records."""
    record = request.visit.decision.record
    visitor_id, withdrawn, _ = find_visitor_ids(site, request)
    kept = {**NOTHING_KEPT, "visitor_id": visitor_id, "withdrawn": withdrawn, "takes_requests": site.ledger is not None}
    if site.ledger is not None and record is not None:
        kept["consent_id"] = record.consent_id
        kept["refused_without_id"] = not record.consent_id and not record.granted
        if record.consent_id:
            with suppress(Problem):
                kept["records"] = await wait_for_store(site.ledger.count(record.consent_id))
    return kept


async def show_receipt(site: Site, request: OwnRequest) -> Response:
    """Respond with the receipt of the current answer, as JSON.

    Raises:
        Problem: 404, there is no answer; 429, too many requests; 503, the ledger cannot be reached.
    """
    limit_reading(site, request)
    record = request.visit.decision.record
    if record is None:
        raise Problem(404, "There is no answer yet that a receipt could be given for.", "why_unanswered")
    document = describe_record(record)
    for stored in await find_records(site, request):
        if all(stored.get(name) == document.get(name) for name in _SAME_ANSWER):
            document = stored
    policy = await find_policy(site, document["policy"])
    return JSONResponse(receipt(document, policy, make_absolute_url(request)))


async def export_data(site: Site, request: OwnRequest) -> Response:
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
    limit_reading(site, request)
    current = request.visit.decision.record
    records = await find_records(site, request)
    answers = [record for record in records if "expires_at" in record]
    versions = {record["policy"] for record in answers}
    policies = {version: await find_policy(site, version) for version in versions}
    address = make_absolute_url(request)
    visitor_id, withdrawn, visitor_ids = find_visitor_ids(site, request)
    members: dict[str, Any] = {
        "consent": describe_record(current) if current else None,
        "consent_records": records,
        "receipts": [receipt(record, policies[record["policy"]], address) for record in answers],
        "visitor_id": visitor_id or None,
        "withdrawn_visitor_ids": [one.visitor_id for one in withdrawn],
        "access_records": [],
        "access_records_complete": True,
        "requests": await find_desk_requests(site, request),
        "meanings": {kind: dict(fields) for kind, fields in MEANINGS.items()},
    }

    def read_and_encode() -> bytes:
        if site.access_log is not None:
            records_by_id = map(site.access_log.sink.read, visitor_ids)
            members["access_records"], missing = read_readable(chain.from_iterable(records_by_id))
            if missing:
                members["access_records_complete"] = False
                _log.error("A visitor's export lacks access records: %s", missing)
        return encode_members(members)

    # Read everything before the response starts: an export is complete, or an error.
    content = await wait_for_store(to_thread.run_sync(read_and_encode, limiter=site.searches), None)
    headers = {
        "content-disposition": 'attachment; filename="privacy-export.json"',
        "content-length": str(len(content)),
    }
    # In pieces, so that other tasks of the event loop run in between.
    chunks = (content[start : start + LARGEST_CHUNK] for start in range(0, len(content), LARGEST_CHUNK))
    return StreamingResponse(chunks, headers=headers, media_type="application/json")


async def erase_data(site: Site, request: OwnRequest) -> Response:
    """Erase the visitor's access records and visitor id. The response says what stays, and why.

    - `erased`: how many access records were erased.
    - `consent_records`: ids of the consent records that stay.
    - `why`: why they stay, or null.
    - `still_traced`: whether later visits are recorded again, under a new visitor id, because the consent stands.

    Raises:
        Problem: 413, the body is too large; 429, too many requests; 503, a store cannot be reached. Nothing more is
            erased then.
    """
    limit_reading(site, request)
    await read_body(request.receive)  # it says nothing: the form's language is in the address
    # Read the ledger first: if it is down, nothing is erased, as the error page says.
    remaining = [record["record_id"] for record in await find_records(site, request)]
    visitor_id, withdrawn, visitor_ids = find_visitor_ids(site, request)
    erased = 0
    if site.access_log is not None:
        for id_ in visitor_ids:
            site.access_log.tracing.end_visitor(id_)
            erased += await wait_for_store(
                to_thread.run_sync(site.access_log.sink.erase, id_, limiter=site.searches), None
            )
    if request.wants_json:
        why = "They prove that you were asked and what you answered (GDPR Article 7(1))." if remaining else None
        traces = site.access_log is not None and request.visit.decision.traces
        reply: Response = JSONResponse(
            {"erased": erased, "consent_records": remaining, "why": why, "still_traced": traces}
        )
    else:
        suffix = "" if visitor_ids else "=nothing"
        reply = RedirectResponse(f"{request.base}?language={request.language}&erased{suffix}", status_code=303)
    where = (request.place, request.base)
    deletions = site.own_cookies.forget_former((VISITOR, ERASURE), request.cookie_field, *where)
    for spec, is_there in ((VISITOR, visitor_id), (ERASURE, withdrawn)):
        if is_there:
            deletions.append(site.own_cookies.forget(spec, *where))
    reply.raw_headers += [(b"set-cookie", field) for field in deletions]
    return reply


def find_visitor_ids(site: Site, request: OwnRequest) -> tuple[str, tuple[WithdrawnVisitor, ...], list[str]]:
    """Return the visitor's pseudonym, those from before a withdrawal, and all in access records, these first.

    The first is "" for none. It is there even while tracing is off: the visitor may still see and erase what was
    traced.
    """
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    withdrawn = site.own_cookies.read_withdrawn(request.cookie_field, request.now, request.place)
    current = visitor.id if visitor else ""
    ids = dict.fromkeys([*(one.visitor_id for one in withdrawn), current])
    return current, withdrawn, [id_ for id_ in ids if id_]


async def find_records(site: Site, request: OwnRequest) -> list[dict[str, Any]]:
    """Return the records with the visitor's consent id, oldest first."""
    consent_id = request.visit.decision.consent_id
    if site.ledger is None or not consent_id:
        return []
    return await wait_for_store(site.ledger.records(consent_id))


async def find_desk_requests(site: Site, request: OwnRequest) -> list[dict[str, Any]]:
    """Return the visitor's requests to the help desk."""
    consent_id = request.visit.decision.consent_id
    if site.ledger is None or not consent_id:
        return []
    finding = to_thread.run_sync(site.ledger.requests.listed, consent_id, abandon_on_cancel=True)
    found = await wait_for_store(finding)
    return [desk_request.document() for desk_request in found]


async def find_policy_document(site: Site, version: str) -> dict[str, Any] | None:
    """Return a version of the policy as plain data; None if it is unknown."""
    known = {policy.version: policy for policy in (*site.policy.history, site.policy)}
    if version in known:
        return known[version].document()
    return None if site.ledger is None else await wait_for_store(site.ledger.policy(version))


async def find_policy(site: Site, version: str) -> Policy:
    """Return a version of the policy; the current one if it is unknown or no longer readable."""
    document = None if version == site.policy.version else await find_policy_document(site, version)
    # A policy that an older release took may break a rule that was added since.
    with suppress(PolicyError):
        return Policy.from_document(document) if document else site.policy
    return site.policy


def make_absolute_url(request: OwnRequest) -> str:
    """Return the full URL of the endpoints, for documents that leave the site; their path if the host is not valid."""
    host = request.fields.get(b"host", b"").decode("latin-1")
    scheme = request.scope.get("scheme", "http")
    return f"{scheme}://{host}{request.base}" if _HOST.fullmatch(host) else request.base


def limit_reading(site: Site, request: OwnRequest) -> None:
    """Count a request for stored data. Visitors without a cookie have none, and are not counted.

    Raises:
        Problem: 429, too many requests.
    """
    ids = find_visitor_ids(site, request)[2]
    key = request.visit.decision.consent_id or next(iter(ids), "")
    if key:
        limit_rate(site, "own data", key, request.now)


def encode_members(members: Mapping[str, object]) -> bytes:
    """Return a JSON object, byte for byte as Starlette's `JSONResponse` encodes it.

    It is encoded bit by bit: no other thread runs while `json.dumps` does.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(encoder.iterencode(members)).encode()
