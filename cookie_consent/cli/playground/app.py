"""The ASGI app of the playground: its page, what the page asks the server, and the previews."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from cookie_consent.base.cross_site import is_cross_site
from cookie_consent.cli.playground.drafts import (
    LONGEST_POLICY,
    LONGEST_THEME,
    Draft,
    WrongDraftError,
    outline,
    require_short,
)
from cookie_consent.cli.playground.files import file_endpoint
from cookie_consent.cli.playground.languages import add_language
from cookie_consent.cli.playground.previews import COOKIES, PATH, Previews
from cookie_consent.cli.playground.properties import PROPERTIES, themes
from cookie_consent.cli.playground.purposes import add_purpose, remove_purpose, rename_purpose, retitle_purpose
from cookie_consent.cli.playground.site import templates
from cookie_consent.report.live.guards import OnlyByLoopback
from cookie_consent.texts.catalog import shipped_languages
from cookie_consent.texts.locales import language_name
from cookie_consent.visitors.pages.rendering import LAYOUTS

_LARGEST_BODY = 4 * (LONGEST_POLICY + LONGEST_THEME)
"""In bytes: a character has at most four."""
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_EDITS: Mapping[str, Callable[..., str]] = {
    "add_purpose": add_purpose,
    "remove_purpose": remove_purpose,
    "rename_purpose": rename_purpose,
    "retitle_purpose": retitle_purpose,
    "add_language": add_language,
}


def playground_app(policy: str, folder: Path) -> ASGIApp:
    """Return the app. It serves only browsers on this machine.

    Args:
        policy: the text of the policy to start with.
        folder: a folder for policy files, which goes with the app.
    """
    previews = Previews(folder)
    html = _html(policy)

    async def page(_: Request) -> Response:
        return HTMLResponse(html, headers=_HEADERS)

    app = Starlette(
        routes=[
            Route("/", page),
            *(Route(f"/{name}", file_endpoint(name)) for name in ("playground.css", "playground.js")),
            Route("/draft", _posted(partial(_draft, previews)), methods=["POST"]),
            Route("/edit", _posted(_edit), methods=["POST"]),
            Route("/ask-again", _ask_again, methods=["POST"]),
            Mount(PATH, previews),
        ],
    )
    return OnlyByLoopback(app)


def _posted(answer: Callable[[Any], Awaitable[Mapping[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that takes JSON from the page, and answers with JSON.

    Args:
        answer: takes the data and returns those of the response. A ValueError says what is wrong with them.
    """

    async def endpoint(request: Request) -> Response:
        if _is_foreign(request):
            return _FOREIGN
        body = await _body(request)
        if body is None:
            return _problem(413, f"A request has at most {_LARGEST_BODY:,} bytes.")
        try:
            return JSONResponse(await answer(json.loads(body)), headers=_HEADERS)
        except (ValueError, RecursionError) as error:
            return _problem(400, str(error))

    return endpoint


def _is_foreign(request: Request) -> bool:
    """Return whether a page of another site may have made a request."""
    fields = request.headers
    host = fields.get("host", "")
    return is_cross_site(fields.getlist("sec-fetch-site"), fields.getlist("origin"), request.url.scheme, host)


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"problem": text}, status, _HEADERS)


_FOREIGN = _problem(403, "Only the playground's own page may ask this.")


async def _body(request: Request) -> bytes | None:
    """Return the body of a request, or None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)


async def _draft(previews: Previews, data: Any) -> Mapping[str, Any]:
    """Show a draft, and return where, or what is wrong with it."""
    draft = Draft.from_data(data)
    about = {"code": draft.code, **outline(draft.policy)}
    try:
        preview = await previews.show(draft)
    except WrongDraftError as error:
        return {**about, "problems": [asdict(problem) for problem in error.problems]}
    return {**about, "problems": [], "path": preview.path}


async def _edit(data: Any) -> Mapping[str, Any]:
    """Return the text of a policy after an edit by one of the page's controls."""
    try:
        given = {name: str(value) for name, value in data.items()}
        edit, text = _EDITS[given.pop("edit")], given.pop("policy")
        inspect.signature(edit).bind(text, **given)
    except (TypeError, LookupError, AttributeError):
        raise ValueError(f"An edit is one of: {', '.join(_EDITS)}, with what it needs.") from None
    require_short(text)
    # What cannot be edited is an answer like another, and no wrong request: somebody pressed a button.
    try:
        return {"policy": edit(text, **given)}
    except tomllib.TOMLDecodeError:
        return {"problem": "Correct the policy first: its text is no TOML just now."}
    except (LookupError, TypeError, AttributeError):
        return {"problem": "Correct the policy first: this needs its tables as they should be."}
    except ValueError as error:
        return {"problem": str(error)}


async def _ask_again(request: Request) -> Response:
    """Delete the cookies of the previews, so that they ask again."""
    if _is_foreign(request):
        return _FOREIGN
    response = Response(status_code=204, headers=_HEADERS)
    for name in request.cookies:
        if name.startswith(COOKIES):
            response.delete_cookie(name, httponly=True, samesite="lax")
    return response


def _html(policy: str) -> str:
    return templates.get_template("playground.html").render(
        policy=policy,
        properties=PROPERTIES,
        themes=themes(),
        layouts=LAYOUTS,
        languages={tag: (language_name(tag), language_name(tag, "en")) for tag in shipped_languages()},
    )
