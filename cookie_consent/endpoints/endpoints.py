"""Our files, the table of endpoints, and how a request to one of them is served. Start reading the endpoints here.

A request becomes an `OwnRequest`. The table finds its endpoint, an async function that returns the reply. A POST of
another site is refused before. A `Problem` becomes problem details (RFC 9457) for programs, a page for people.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.endpoints.answer import accept_answer, end_tracing
from cookie_consent.endpoints.events import accept_event
from cookie_consent.endpoints.help_desk import show_form, take_desk_request
from cookie_consent.endpoints.own_data import erase_data, export_data, show_receipt
from cookie_consent.endpoints.request import OwnRequest, refuse_other_sites, render_page
from cookie_consent.endpoints.settings import (
    make_settings_page,
    show_do_not_sell,
    show_gpc_support,
    show_policy,
    show_question,
    show_settings,
    show_state,
    show_transmission,
)
from cookie_consent.http.forms import Problem
from cookie_consent.http.options import GPC_PATH
from cookie_consent.http.plan import Head, plan_reply
from cookie_consent.http.send import write_fields
from cookie_consent.http.site import Site
from cookie_consent.pages.assets import assets, script_address

_ACCEPTS_GZIP = re.compile(rb"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")


async def send_asset(site: Site, request: OwnRequest) -> Response:
    """Respond with a file. Its address has a hash of its content, so caches may keep it forever.

    Raises:
        Problem: 404, there is no such file.
    """
    name = request.path.removeprefix(f"{site.prefix}/assets/")
    asset = next((asset for asset in assets().values() if asset.name == name), None)
    if asset is None:
        raise Problem(404, "There is nothing at this path.")
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    content = asset.content
    if _ACCEPTS_GZIP.search(request.fields.get(b"accept-encoding", b"")):
        content = asset.compressed
        headers["content-encoding"] = "gzip"
    return Response(content, headers=headers, media_type=asset.media_type)


async def send_script(site: Site, request: OwnRequest) -> Response:
    """Respond with a script at a fixed address, which re-exports the current one, for pages that import it by name.

    Raises:
        Problem: 404, there is no such script.
    """
    name = request.path.removeprefix(f"{site.prefix}/")
    if name not in assets():
        raise Problem(404, "There is nothing at this path.")
    address = script_address(site.policy.traced) if name == "track.js" else assets()[name].name
    return Response(f'export * from "./assets/{address}";\n', media_type="text/javascript; charset=utf-8")


Endpoint = Callable[[Site, OwnRequest], Awaitable[Response]]

ENDPOINTS: Mapping[str, Mapping[str, Endpoint]] = {
    "": {"GET": show_settings, "POST": accept_answer},
    "/do-not-sell": {"GET": show_do_not_sell},
    "/transmission": {"GET": show_transmission},
    "/question": {"GET": show_question},
    "/state": {"GET": show_state},
    "/receipt": {"GET": show_receipt},
    "/export": {"GET": export_data},
    "/erase": {"POST": erase_data},
    "/events": {"POST": accept_event},
    "/policy": {"GET": show_policy},
    "/policy/*": {"GET": show_policy},
    "/requests": {"GET": show_form, "POST": take_desk_request},
    "/assets/*": {"GET": send_asset},
    "/*.js": {"GET": send_script},
    GPC_PATH: {"GET": show_gpc_support},
}
"""Path below the prefix -> method -> endpoint. The first that fits serves a path; * stands for any text."""


async def serve_endpoint(site: Site, scope: Scope, receive: Receive, send: Send, path: str) -> None:
    """Serve a request to one of our own paths, inside the app."""
    request = OwnRequest(site, read_gpc_of_script(scope), receive, path)
    try:
        endpoint = find_endpoint(request.method, path.removeprefix(site.prefix))
        if request.method == "POST":
            refuse_other_sites(request)
        reply = await endpoint(site, request)
    except ClientDisconnect:
        return
    except Problem as problem:
        reply = await explain_problem(site, request, problem)
    finish_reply(site, request, reply)
    if request.method == "HEAD":
        # Content-Length stays that of a GET (RFC 9110, section 9.3.2).
        fields = reply.raw_headers
        reply = Response(status_code=reply.status_code)
        reply.raw_headers = fields
    await reply(scope, receive, send)


def finish_reply(site: Site, request: OwnRequest, reply: Response) -> None:
    """Add the header fields that all replies share, and what the visit makes of this one."""
    reply.raw_headers.append((b"x-content-type-options", b"nosniff"))
    start = {"type": "http.response.start", "status": reply.status_code, "headers": reply.raw_headers}
    head = Head(start, request.scope, request.fields)
    new = plan_reply(request.visit, head, site)
    reply.raw_headers = write_fields(head, new)
    if new.expire and request.visit.decision.record is None:
        reply.raw_headers += end_tracing(site, request)


def read_gpc_of_script(scope: Scope) -> Scope:
    """Return the scope with the signal of `?gpc=1`.

    Our script sees the signal even if a proxy removed the field (GPC, section "JavaScript Property"). It never counts
    from another site: a link there could switch off for good what the visitor has granted.
    """
    has_signal = b"gpc=1" in scope.get("query_string", b"").split(b"&")
    others = (b"cross-site", b"same-site")
    if not has_signal or any(name == b"sec-fetch-site" and value in others for name, value in scope["headers"]):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"sec-gpc", b"1")]}


def find_endpoint(method: str, path: str) -> Endpoint:
    """Return the endpoint for a method and a path below the prefix. Those for GET also serve HEAD.

    Raises:
        Problem: 404, there is nothing at this path; 405, the method is not allowed.
    """
    path = path.removesuffix("/")
    methods = ENDPOINTS.get(path) or next((ENDPOINTS[row] for row in ENDPOINTS if fnmatchcase(path, row)), None)
    if methods is None:
        raise Problem(404, "There is nothing at this path.")
    endpoint = methods.get("GET" if method == "HEAD" else method)
    if endpoint is None:
        allowed = ", ".join(methods).replace("GET", "GET, HEAD")
        raise Problem(405, f"Allowed here: {allowed}.", fields=[(b"allow", allowed.encode())])
    return endpoint


async def explain_problem(site: Site, request: OwnRequest, problem: Problem) -> Response:
    """Return problem details for a program, or a page for a person.

    A person followed a link, or sent a form without asking for JSON. No person reads the reply to an event.
    """
    path = request.path.rstrip("/")
    is_person = b"text/html" in request.fields.get(b"accept", b"")
    if request.method == "POST":
        is_person = request.is_form and not request.wants_json and path != f"{site.prefix}/events"
    if not is_person:
        reply: Response = JSONResponse(problem.document(), problem.status, media_type="application/problem+json")
    elif problem.text == "error_policy_changed":
        reply = await make_settings_page(site, request, problem.text, problem.status)
    else:
        title = "error_title" if path == site.prefix else "error_request"
        reply = render_page(site, request, "message.html", problem.status, title=title, text=problem.text)
    reply.raw_headers += problem.fields
    return reply
