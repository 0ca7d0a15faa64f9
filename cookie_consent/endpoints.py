"""The web's answers: what is served under the prefix, and what is refused there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.answering import answer
from cookie_consent.answers import is_form
from cookie_consent.assets import Asset, assets
from cookie_consent.disclosure import Disclosure, page
from cookie_consent.installation import Installation
from cookie_consent.language import accepted_language, match_language
from cookie_consent.problem import Problem
from cookie_consent.same_site import safe_next
from cookie_consent.visits import Visit

GPC_PATH = "/.well-known/gpc.json"
_DEPENDS = "Cookie, Sec-GPC, DNT, Accept, Accept-Language, Sec-Fetch-Site, Origin"
_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")

Answerer = Callable[[Request, Visit, str], Awaitable[Response]]
Methods = dict[str, Answerer]


class Endpoints:
    """Answers the requests to the endpoints of an installation."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._disclosure = disclosure = Disclosure(installed)
        self._routes: dict[str, Methods] = {
            "": {"GET": disclosure.settings, "POST": partial(answer, installed)},
            "/state": {"GET": disclosure.state},
            "/receipt": {"GET": disclosure.receipt},
            "/export": {"GET": disclosure.export},
            "/erase": {"POST": disclosure.erase},
            "/policy": {"GET": disclosure.policy},
        }
        self._routes["/choices.js"] = {"GET": _lead_to_script}
        for asset in assets().values():
            self._routes[f"/assets/{asset.name}"] = {"GET": partial(_serve, asset)}

    def serves(self, path: str) -> bool:
        """Return whether a path inside the app is one of ours."""
        prefix = self._installed.prefix
        return path in (prefix, GPC_PATH) or path.startswith(f"{prefix}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer a request to a path that `serves` says is ours."""
        request = Request(scope, receive)
        visit = self._installed.visits.read(scope, path)
        language = self._language(request)
        try:
            response = await self._respond(request, visit, language, path)
        except Problem as problem:
            response = self._refusal(request, visit, language, problem)
        except ClientDisconnect:
            return
        response.headers["x-content-type-options"] = "nosniff"
        response.headers.setdefault("cache-control", "no-store")
        response.headers.setdefault("vary", _DEPENDS)
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _respond(self, request: Request, visit: Visit, language: str, path: str) -> Response:
        methods = self._methods(request, path)
        answerer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answerer is None:
            allowed = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
            raise Problem(405, f"Allowed here: {allowed}.", headers={"allow": allowed})
        return await answerer(request, visit, language)

    def _methods(self, request: Request, path: str) -> Methods:
        if path == GPC_PATH:
            return {"GET": self._disclosure.gpc}
        rest = path.removeprefix(self._installed.prefix)
        if rest.startswith("/policy/") and rest != "/policy/":
            request.scope["path_params"] = {"version": rest.removeprefix("/policy/")}
            return {"GET": self._disclosure.earlier_policy}
        methods = self._routes.get(rest.removesuffix("/"))
        if methods is None:
            raise Problem(404, "There is nothing at this path.")
        return methods

    def _language(self, request: Request) -> str:
        """Return the language that a page of ours is in: the one asked for, else one that the browser accepts."""
        site = self._installed.policy.site
        asked = match_language(request.query_params.get("language", ""), site.languages)
        accepted = accepted_language(request.headers.get("accept-language", ""), site.languages)
        return asked or accepted or site.prevailing_language

    def _refusal(self, request: Request, visit: Visit, language: str, problem: Problem) -> Response:
        language, next_path = problem.language or language, safe_next(problem.next) or ""
        if not _wants_page(request):
            response: Response = JSONResponse(problem.document(), problem.status, media_type="application/problem+json")
        elif problem.text == "error_policy_changed":
            response = self._disclosure.settings_page(
                request, visit, language, next_path=next_path, notice=problem.text, status=problem.status
            )
        else:
            html = self._installed.pages.message(
                visit.decision,
                base=self._installed.base(request.scope),
                language=language,
                title=self._installed.policy.texts[language]["error_title"],
                text=self._installed.policy.texts[language][problem.text],
                next_path=next_path,
            )
            response = page(html, language, problem.status)
        response.headers.update(problem.headers)
        return response


def _wants_page(request: Request) -> bool:
    """Return whether a form was sent by somebody who does not ask for JSON."""
    from_form = request.method == "POST" and is_form(request.headers.get("content-type", ""))
    return from_form and "json" not in request.headers.get("accept", "")


async def _lead_to_script(request: Request, visit: Visit, language: str) -> Response:
    """Answer with the script under an address that stays the same, for pages that name it themselves."""
    return Response(f'import "./assets/{assets()["choices.js"].name}";\n', media_type="text/javascript; charset=utf-8")


async def _serve(asset: Asset, request: Request, visit: Visit, language: str) -> Response:
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if not _ACCEPTS_GZIP.search(request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    headers["content-encoding"] = "gzip"
    return Response(asset.compressed, headers=headers, media_type=asset.media_type)
