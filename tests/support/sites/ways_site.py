"""A site whose pages try the ways of `ways_out` to third parties."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Policy
from tests.support.policies import KEY, policy_of
from tests.support.sites.ways_out import CODE, HELPERS, MARKUP, NAVIGATIONS

NAMES = [*MARKUP, *CODE]
_NAVIGATIONS = [name for name in NAMES if name in NAVIGATIONS]
_OTHERS = [name for name in NAMES if name not in NAVIGATIONS]
PAGES = [*(_OTHERS[number::9] for number in range(9)), *(_NAVIGATIONS[number::3] for number in range(3))]
"""The ways that each page tries."""
_TYPES = {"html": "text/html", "xhtml": "application/xhtml+xml", "svg": "image/svg+xml", "xml": "text/xml"}
_RUN = """
const wait = time => new Promise(done => setTimeout(done, time));
for (const [to, redirect, go] of WAYS) {
  try { Promise.resolve(go(to, redirect)).catch(() => {}); } catch {}
  await wait(5);
}
await Promise.race([new Promise(done => document.readyState === "complete" ? done() : onload = done), wait(5000)]);
await wait(1500);
document.title = "done";
"""


def address_of(name: str, origin: str) -> str:
    """Return the address by which a way reaches a third party."""
    return f"{origin}/{NAMES.index(name)}"


def _policy(origins: Mapping[str, Sequence[str]]) -> Policy:
    texts = {"en": "a"}
    purpose = {"title": texts, "description": texts, "retention": "30 days"}
    return policy_of(
        {
            "site": {
                "name": "Example",
                "controller": "Example Ltd.",
                "contact": "office@site.example",
                "prevailing_language": "en",
                "languages": ["en"],
            },
            "purposes": {"media": purpose, "analytics": purpose},
            "recipients": [
                {
                    "id": f"third-{number}",
                    "name": f"Third {number}",
                    "purpose": "media",
                    "origins": [origin, origin.replace("http", "ws")],
                    "directives": directives,
                    "receives": texts,
                }
                for number, (origin, directives) in enumerate(origins.items())
                if directives
            ],
        }
    )


async def _page(request: Request) -> Response:
    """Try the ways of one page to one third party."""
    names = PAGES[request.path_params["number"]]
    origin = request.query_params["to"]
    markup = "".join(
        MARKUP[name].replace("TO", address_of(name, origin)).replace("ID", f"way-{NAMES.index(name)}")
        for name in names
        if name in MARKUP
    )
    ways = ",".join(
        f"['{address_of(name, origin)}', '/redirect?to={address_of(name, origin)}',"
        f" async (to, redirect) => {{ {CODE[name].replace('TO', address_of(name, origin))} }}]"
        for name in names
        if name in CODE
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><title>trying</title></head><body><main>Hello</main>{markup}'
        f'<script type="module">{HELPERS}const WAYS = [{ways}];{_RUN}</script></body></html>'
    )


async def _example(request: Request) -> Response:
    """Show a page with an example of the documentation: markup, the code of a script, or a header field."""
    example = request.query_params["example"]
    field = re.fullmatch(r"([A-Z][A-Za-z-]+): (.*)", example)
    body = example if example.startswith("<") else "" if field else f"<script>{example}</script>"
    page = (
        '<!doctype html><html lang="en"><head><title>trying</title></head>'
        f'<body><main style="color: black">Hello</main>{body}</body></html>'
    )
    return HTMLResponse(page, headers={field[1].lower(): field[2]} if field else {})


async def _frame(request: Request) -> Response:
    given = request.query_params
    type_ = _TYPES.get(request.path_params["kind"], given.get("type", ""))
    headers = {name: given[name] for name in ("link", "refresh") if name in given}
    if type_:
        headers["content-type"] = type_
    return Response(given.get("html", "{}"), headers=headers)


async def _run(request: Request) -> Response:
    kind = "text/css" if request.url.path.endswith("css") else "text/javascript"
    return Response(request.query_params["code"], media_type=kind, headers={"service-worker-allowed": "/"})


async def _manual(_: Request) -> Response:
    return Response(b"%PDF-1.4", media_type="application/pdf")


async def _redirect(request: Request) -> Response:
    return RedirectResponse(request.query_params["to"], 307)


routes: list[Any] = [
    Route("/page/{number:int}", _page),
    Route("/example", _example),
    Route("/frame/{kind}", _frame),
    Route("/manual.pdf", _manual),
    Route("/run.js", _run),
    Route("/run.css", _run),
    Route("/redirect", _redirect, methods=["GET", "POST"]),
]
site = Starlette(routes=routes)


def ways_site(origins: Mapping[str, Sequence[str]], csp: Any, own_policy: str = "") -> ConsentMiddleware:
    """Return the site.

    Args:
        origins: third parties of the purpose "media", with the directives that each is declared for.
        csp: the option of the middleware.
        own_policy: the policy that the app itself sends with each response.
    """

    async def with_policy(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start" and own_policy:
                message["headers"].append((b"content-security-policy", own_policy.encode()))
            await send(message)

        await site(scope, receive, send_with_policy)

    return ConsentMiddleware(with_policy, _policy(origins), KEY, csp=csp)
