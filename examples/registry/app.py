"""The website of a domain-name registry: pages in two languages that work whatever a visitor answers.

The second origin, which serves its map and its counter, runs beside it:

    uvicorn --app-dir examples/registry analytics:app --port 8001
    uvicorn --app-dir examples/registry app:app --port 8000

In the environment, all of it optional: REGISTRY_KEY signs the cookies (without it, each start forgets all answers),
REGISTRY_ACCESS_LOG is the file of the access records, REGISTRY_LEDGER like "sqlite:///consent.db" keeps the proofs,
REGISTRY_PARTNER is the second origin, REGISTRY_ANALYSTS are the names, parted by commas, that see the report of the
access records at /report once they have signed in. (Here anybody signs in as anybody. Yours has passwords.)
REGISTRY_CSP is the Content-Security-Policy for visitors who allow nothing, such as "default-src 'self'".
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Policy, requires
from cookie_consent.integrations.jinja import ConsentedExtension, consent_context
from cookie_consent.serve_report import report_app

HERE = Path(__file__).parent
PARTNER = "http://localhost:8001"
TEXTS = {tag: tomllib.loads((HERE / "texts" / f"{tag}.toml").read_text(encoding="utf-8")) for tag in ("en", "ja")}
REGISTERED = {
    "example": ("Example Registry Co., Ltd.", "2001-04-01", "2027-03-31"),
    "blue-mountain": ("Blue Mountain Coffee K.K.", "2012-07-15", "2026-07-31"),
    "kawa": ("Kawa Ferries", "2019-11-02", "2026-11-30"),
}
FOR_EVERYBODY = ["my-first-site", "nihon-shop", "green-garden"]
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MONTH = 30 * 24 * 60 * 60


def page_context(request: Request) -> dict[str, Any]:
    """Give all templates their words and what the frame of the page needs."""
    consent = request.state.consent
    language = consent.language if consent.language in TEXTS else "en"
    return {
        "language": language,
        "languages": consent.policy.site.languages,
        "features": {feature.id for feature in consent.policy.features},
        "text": TEXTS[language],
        "partner": request.app.state.partner,
        "visitor": request.session.get("name"),
    }


templates = Jinja2Templates(HERE / "templates", context_processors=[consent_context, page_context])
templates.env.add_extension(ConsentedExtension)


async def home(request: Request) -> Response:
    """Welcome."""
    return templates.TemplateResponse(request, "home.html")


async def names(request: Request) -> Response:
    """Search for a name, and suggest others."""
    name = searched(request)
    seen = [name] if name else []
    seen += [old for old in request.cookies.get("recently-viewed", "").split(".") if LABEL.fullmatch(old)]
    seen = list(dict.fromkeys(seen))[:5]
    suited = [suggestion for old in seen for suggestion in (f"{old}-online", f"my-{old}")]
    context = {"name": name, "taken": name in REGISTERED, "general": FOR_EVERYBODY, "suited": suited}
    response = templates.TemplateResponse(request, "names.html", context)
    if name:
        # No "if the visitor agreed" here: without consent the middleware holds this cookie back.
        response.set_cookie("recently-viewed", ".".join(seen), max_age=MONTH, httponly=True)
    return response


async def whois(request: Request) -> Response:
    """Say whose a name is."""
    name = searched(request)
    return templates.TemplateResponse(request, "whois.html", {"name": name, "holder": REGISTERED.get(name)})


async def terms(request: Request) -> Response:
    """Show the conditions of the WHOIS service."""
    return templates.TemplateResponse(request, "terms.html")


async def offices(request: Request) -> Response:
    """Show where the offices are: on a map, or in words."""
    return templates.TemplateResponse(request, "offices.html")


@requires("media", feature="tour")
async def tour(request: Request) -> Response:
    """Show the server room. Without consent the package's own page explains what is missing."""
    return templates.TemplateResponse(request, "tour.html")


async def account(request: Request) -> Response:
    """Sign in and out, with a session as any Starlette app has it."""
    if request.method == "GET":
        return templates.TemplateResponse(request, "account.html")
    name = dict(parse_qsl((await request.body()).decode("utf-8", "replace"))).get("name", "")[:40]
    request.session.clear()
    if name:
        request.session["name"] = name
    return RedirectResponse("/account", status_code=303)


def searched(request: Request) -> str:
    """Return the name that was searched for, without its ending; "" where it is no domain name."""
    name = request.query_params.get("name", "").strip().lower().removesuffix(".jp")
    return name if LABEL.fullmatch(name) else ""


class LanguageMiddleware:
    """Takes the language from `?lang=`, which the cookie `lang` then remembers, and tells the consent layer.

    Where neither says it, the consent layer's own choice holds, from what the browser accepts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        asked = connection.query_params.get("lang")
        chosen = asked or connection.cookies.get("lang")
        offered = connection.state.consent.policy.site.languages
        if chosen in offered:
            connection.state.consent.language = chosen

        async def remembering(message: Message) -> None:
            if asked in offered and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(
                    "set-cookie", f"lang={asked}; Max-Age={12 * MONTH}; Path=/; SameSite=Lax"
                )
            await send(message)

        await self.app(scope, receive, remembering)


def policy_for(partner: str, csp: str = "") -> Policy:
    """Return the policy as written, with the second origin and the Content-Security-Policy of this installation."""
    policy = Policy.load(HERE / "consent.toml")
    return replace(
        policy,
        recipients=tuple(replace(them, origins=(partner,)) for them in policy.recipients),
        security=replace(policy.security, content_security_policy=csp),
    )


def report_for(analysts: str, access_log: str) -> ASGIApp:
    """Return the report of the access records, for those who have signed in by one of some names.

    The policy file has its goals and its time zone.
    """
    names = {name.strip() for name in analysts.split(",")} - {""}
    return report_app(
        access_log, authorize=lambda request: request.session.get("name") in names, policy=HERE / "consent.toml"
    )


def has_tour(policy: Policy) -> bool:
    """Return whether a policy has what `tour` requires."""
    return any(feature.id == "tour" and feature.purposes == ("media",) for feature in policy.features)


def create_app(environ: Mapping[str, str], policy: Policy | None = None) -> Starlette:
    """Put the site together.

    Args:
        environ: the variables named at the top.
        policy: another policy than that of the site. What it lacks is left out: features, and the tag of the counter.
    """
    key = environ.get("REGISTRY_KEY") or secrets.token_urlsafe(32)
    access_log = environ.get("REGISTRY_ACCESS_LOG")
    report = [Mount("/report", report_for(environ.get("REGISTRY_ANALYSTS", ""), access_log))] if access_log else []
    site = Starlette(
        routes=[
            Route("/", home),
            Route("/names", names),
            Route("/whois", whois),
            Route("/whois/terms", terms),
            Route("/offices", offices),
            *([Route("/tour", tour)] if policy is None or has_tour(policy) else []),
            Route("/account", account, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
            *report,
        ]
    )
    site.state.partner = environ.get("REGISTRY_PARTNER", PARTNER)
    site.state.shows_policy = policy is not None
    site.add_middleware(LanguageMiddleware)
    site.add_middleware(SessionMiddleware, secret_key=key, session_cookie="session", max_age=None)
    # Starlette puts what is added last outermost. There the consent layer sees every cookie, also those of the
    # middleware above, and nothing that it holds back from the app gets past it.
    site.add_middleware(
        ConsentMiddleware,
        policy=policy or policy_for(site.state.partner, environ.get("REGISTRY_CSP", "")),
        secret_keys=[key],
        access_log=access_log,
        ledger=environ.get("REGISTRY_LEDGER"),
        settings_link=False,  # each page has one of its own
        # Without csp="enforce": its cards have "Show once", and all else of the partner waits.
    )
    return site


app = create_app(os.environ)
