"""The help desk: visitors send requests and complaints with one form, without an account."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.responses import Response

from cookie_consent.base.clock import DAY, rfc3339
from cookie_consent.base.messages import log_failure
from cookie_consent.endpoints.request import OwnRequest, limit_rate, render_page, wait_for_store
from cookie_consent.http.forms import Problem, clean_text, read_body, read_texts
from cookie_consent.http.site import Site
from cookie_consent.ledgers.requests import KINDS, DeskRequest, Requests

LONGEST_TEXT = 4000
"""Characters."""
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")


async def show_form(site: Site, request: OwnRequest) -> Response:
    """Respond with the form.

    Raises:
        Problem: 404, there is no ledger.
    """
    find_store(site)
    return make_form_page(site, request)


async def take_desk_request(site: Site, request: OwnRequest) -> Response:
    """Keep a request. If something is wrong with it, the page shows the form again, with what was written.

    - `kind`: "see", "correct", "erase" or "complain".
    - `text`: the message, at most 4000 characters.
    - `address`: a mail address for the answer; may be left out.

    Raises:
        Problem: 404, there is no ledger; 413, the body is too large.
    """
    store = find_store(site)
    body = await read_body(request.receive)
    fields: dict[str, str] = {}
    try:
        written = read_texts(request.media_type, body)
        fields = {name: clean_text(value) for name, value in written.items()}
        # The address as it was written: without its invisible characters, it would be another one.
        address = written.get("address", "").strip()
        desk_request = make_desk_request(site, request, fields.get("kind", ""), fields.get("text", ""), address)
        limit_rate(site, "help desk", "", request.now)
        await wait_for_store(to_thread.run_sync(store.add, desk_request, abandon_on_cancel=True))
    except Problem as problem:
        reply = make_form_page(site, request, problem.status, problem=problem.text, fields=fields)
        reply.raw_headers += problem.fields
        return reply
    reply = make_form_page(site, request, 201, reference=desk_request.reference)
    if site.desk is not None:
        reply.background = BackgroundTask(notify_desk, site.desk, desk_request)
    return reply


def find_store(site: Site) -> Requests:
    """Return where requests are kept.

    Raises:
        Problem: 404, there is no ledger.
    """
    if site.ledger is None:
        raise Problem(404, "Requests are kept in the ledger, and there is none.", "error_not_found")
    return site.ledger.requests


def make_desk_request(site: Site, request: OwnRequest, kind: str, text: str, address: str) -> DeskRequest:
    """Return the request of a visitor.

    Raises:
        Problem: 400, something is wrong with it.
    """
    is_address = not address or (address.isprintable() and _ADDRESS.fullmatch(address))
    for is_right, detail, name in (
        (kind in KINDS, f"The kind has to be one of: {', '.join(KINDS)}.", ""),
        (text, "The text is empty.", "error_no_text"),
        (len(text) <= LONGEST_TEXT, f"A text has at most {LONGEST_TEXT} characters.", "error_too_large"),
        (is_address, "The address is no mail address.", "error_no_address"),
    ):
        if not is_right:
            raise Problem(400, detail, name)
    consent_id = request.visit.decision.consent_id
    # The same again on the same day, as by a double click, is the same request.
    sent = repr((kind, text, address, consent_id, request.now // DAY))
    letters = b32encode(sha256(sent.encode()).digest()).decode()
    return DeskRequest(
        reference=f"R-{letters[:4]}-{letters[4:8]}-{letters[8:12]}",
        kind=kind,
        text=text,
        address=address or None,
        language=request.language,
        consent_id=consent_id or None,
        created_at=int(request.now),
        due_at=int(due_at(site, request)),
    )


def due_at(site: Site, request: OwnRequest) -> float:
    """Return until when a request that comes now is to be answered."""
    return request.now + site.policy.requests.due.total_seconds()


async def notify_desk(desk: Callable[[dict[str, Any]], Any], desk_request: DeskRequest) -> None:
    """Call the site's function, without what the visitor wrote: many can read what a site sends on by mail."""
    summary = {
        "reference": desk_request.reference,
        "kind": desk_request.kind,
        "due_at": rfc3339(desk_request.due_at),
    }
    try:
        await BackgroundTask(desk, summary)()
    except Exception as error:  # noqa: BLE001 (the request is kept, whatever fails here)
        log_failure(f"The help desk was not told of {desk_request.reference}, which is kept", error)


def make_form_page(site: Site, request: OwnRequest, status: int = 200, **variables: Any) -> Response:
    """Return the page with the form.

    The variables may be the `fields` as they were written, the name of the `problem` with them, or the `reference` of a
    request that was kept.
    """
    return render_page(
        site,
        request,
        "requests.html",
        status,
        kinds=KINDS,
        longest_text=LONGEST_TEXT,
        due=due_at(site, request),
        keep_address=site.policy.requests.keep_address,
        **{"fields": {}, "problem": "", "reference": "", **variables},
    )
