"""The web's answers: what is served under the prefix, and what is refused there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.base.checks import check
from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.forms import is_form
from cookie_consent.base.paths import at
from cookie_consent.base.problem import Problem
from cookie_consent.base.signals import GPC_FIELD
from cookie_consent.decision.visit import Visit, host_of, is_secure, without_held
from cookie_consent.texts.negotiation import accepted_language, match_language
from cookie_consent.visitors.answer import answer
from cookie_consent.visitors.events import EventIntake
from cookie_consent.visitors.help_desk import HelpDesk
from cookie_consent.visitors.installation import Installation
from cookie_consent.visitors.own_data import OwnData
from cookie_consent.visitors.pages.assets import Asset, assets, script_address
from cookie_consent.visitors.pages.wording import Wording
from cookie_consent.visitors.responses import page, wants_json
from cookie_consent.visitors.settings import Disclosure

GPC_PATH = "/.well-known/gpc.json"
_DEPENDS = "Cookie, Sec-GPC, DNT, Accept, Accept-Language, Sec-Fetch-Site, Origin"
_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")

Answerer = Callable[[Request, Visit, str], Awaitable[Response]]
Methods = dict[str, Answerer]


def checked_prefix(prefix: str) -> str:
    """Return the path of the endpoints.

    Raises:
        ValueError: it cannot be one.
    """
    is_path = isinstance(prefix, str) and prefix[-1:] != "/" and safe_next(prefix) is not None
    fits = is_path and not {"?", "#"} & set(prefix)
    check("prefix", prefix, fits=fits, remedy='Write a path like "/privacy-choices", without a slash at its end.')
    return prefix


class Endpoints:
    """Answers the requests to the endpoints of an installation."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        own_data = OwnData(installed)
        self._disclosure = disclosure = Disclosure(installed, own_data)
        desk = HelpDesk(installed)
        self._routes: dict[str, Methods] = {
            "": {"GET": disclosure.settings, "POST": partial(answer, installed)},
            "/do-not-sell": {"GET": disclosure.do_not_sell},
            "/question": {"GET": disclosure.question},
            "/state": {"GET": disclosure.state},
            "/receipt": {"GET": own_data.receipt},
            "/receipt/page": {"GET": own_data.receipt_page},
            "/records": {"GET": own_data.records},
            "/records/note": {"POST": own_data.note},
            "/records/shown": {"GET": own_data.shown},
            "/export": {"GET": own_data.export},
            "/erase": {"POST": own_data.erase},
            "/requests": {"GET": desk.requests, "POST": desk.send},
            "/requests/look-up": {"POST": desk.look_up},
            "/policy": {"GET": disclosure.policy},
            "/events": {"POST": EventIntake(installed).take},
        }
        scripts = {"track.js": script_address(installed.policy.traced)}
        for name, asset in assets().items():
            self._routes[f"/assets/{asset.name}"] = {"GET": partial(_serve, asset)}
            if name.endswith(".js"):
                self._routes[f"/{name}"] = {"GET": partial(_lead_to, scripts.get(name, asset.name))}

    def serves(self, path: str) -> bool:
        """Return whether a path inside the app is one of ours."""
        prefix = self._installed.prefix
        return path in (prefix, GPC_PATH) or path.startswith(f"{prefix}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer a request to a path that `serves` says is ours."""
        if b"gpc=1" in scope.get("query_string", b"").split(b"&") and not _is_from_elsewhere(scope):
            # Our script sees the signal; a proxy may have taken the field away (GPC, section "JavaScript Property").
            scope = {**scope, "headers": [*scope["headers"], (GPC_FIELD, b"1")]}
        request = Request(scope, receive)
        visit = self._installed.visits.read(scope, path)
        language = self._language(request, without_held(scope, visit), path)
        try:
            response = await self._respond(request, visit, language, path)
        except Problem as problem:
            response = await self._refusal(request, visit, language, path, problem)
        except ClientDisconnect:
            return
        response.headers["x-content-type-options"] = "nosniff"
        response.headers.setdefault("cache-control", "no-store")
        response.headers.setdefault("vary", _DEPENDS)
        if visit.remembers is not None and request.method != "POST" and response.headers["cache-control"] == "no-store":
            response.raw_headers.append((b"set-cookie", visit.remembers))
        if request.method == "HEAD":
            response.body = b""
        if visit.left_over and request.method != "POST" and "public" not in response.headers["cache-control"]:
            gate, secure = self._installed.gate, is_secure(scope)
            response.raw_headers.extend(gate.expired(visit.left_over, host_of(scope), secure=secure))
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

    def _language(self, request: Request, seen_by_app: Scope, path: str) -> str:
        """Return the language of a page of ours: the one asked for, the app's own, or one that the browser accepts.

        The app's own is that of the page where the question goes, and before what the browser accepts comes what that
        page says of itself.
        """
        site, query = self._installed.policy.site, request.query_params
        app_language = self._installed.app_language
        page_path = safe_next(query.get("next", ""))
        if page_path and path.rstrip("/") == f"{self._installed.prefix}/question":
            seen_by_app = at(seen_by_app, page_path)
        return (
            match_language(query.get("language", ""), site.languages)
            or (app_language(seen_by_app) if app_language is not None else None)
            or match_language(query.get("page_language", ""), site.languages)
            or accepted_language(request.headers.get("accept-language", ""), site.languages)
            or site.prevailing_language
        )

    async def _refusal(self, request: Request, visit: Visit, language: str, path: str, problem: Problem) -> Response:
        language, next_path = problem.language or language, safe_next(problem.next) or ""
        # Events are sent by scripts alone, also those that come as text.
        if path.rstrip("/") == f"{self._installed.prefix}/events" or not _wants_page(request):
            response: Response = JSONResponse(problem.document(), problem.status, media_type="application/problem+json")
        elif problem.text == "error_policy_changed":
            response = await self._disclosure.settings_page(
                request, visit, language, next_path=next_path, notice=problem.text, status=problem.status
            )
        else:
            words = Wording(self._installed.policy, language)
            of_answers = path.rstrip("/") == self._installed.prefix
            html = self._installed.pages.message(
                visit.decision,
                base=self._installed.base(request.scope),
                language=language,
                title=words("error_title" if of_answers else "error_request"),
                text=words(problem.text),
                next_path=next_path,
            )
            response = page(html, language, problem.status)
        response.headers.update(problem.headers)
        return response


def _is_from_elsewhere(scope: Scope) -> bool:
    """Return whether a page of another origin made the browser send a request, by a link say (Fetch Metadata)."""
    return any(name == b"sec-fetch-site" and value in (b"cross-site", b"same-site") for name, value in scope["headers"])


def _wants_page(request: Request) -> bool:
    """Return whether somebody reads it: who sent a form and does not ask for JSON, or followed a link."""
    if request.method == "POST":
        return is_form(request.headers.get("content-type", "")) and not wants_json(request)
    return "text/html" in request.headers.get("accept", "")


async def _lead_to(script: str, request: Request, visit: Visit, language: str) -> Response:
    """Answer with a script under an address that stays the same, for pages and scripts that name it themselves."""
    return Response(f'export * from "./assets/{script}";\n', media_type="text/javascript; charset=utf-8")


async def _serve(asset: Asset, request: Request, visit: Visit, language: str) -> Response:
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if not _ACCEPTS_GZIP.search(request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    headers["content-encoding"] = "gzip"
    return Response(asset.compressed, headers=headers, media_type=asset.media_type)
