"""The small site of a preview. It runs under the real middleware, as a site that a visitor opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent.cli.playground.files import file_endpoint
from cookie_consent.enforcement.cards import consent_card
from cookie_consent.policy.policy import Policy

MOST_FEATURES = 4
"""The most features that the site shows."""
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"
)

templates = Environment(
    loader=PackageLoader(__package__, "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


@dataclass(slots=True)
class Look:
    """What changes on the pages of a site without another policy.

    Args:
        theme: the CSS of the site.
        scheme: "light" or "dark".
    """

    theme: str
    scheme: str


def site(policy: Policy, look: Look) -> Starlette:
    """Return the site for a policy.

    Args:
        policy: the policy, whose purposes and features the pages show.
        look: the look, which may change while the site runs.
    """

    async def home(request: Request) -> Response:
        stand_in = Markup('<p class="stand-in">Here {} would be.</p>')
        cards = [
            Markup(consent_card(request, feature.id, stand_in.format(_title(feature.title, policy))))  # noqa: S704
            for feature in policy.features[:MOST_FEATURES]
        ]
        return _page("home", request, policy, look, cards=cards)

    async def about(request: Request) -> Response:
        return _page("about", request, policy, look)

    async def theme(_: Request) -> Response:
        return Response(look.theme, media_type="text/css", headers={"cache-control": "no-store"})

    return Starlette(
        routes=[
            Route("/", home),
            Route("/about", about),
            Route("/theme.css", theme),
            *(Route(f"/{name}", file_endpoint(name)) for name in ("site.css", "site.js")),
        ]
    )


def _page(name: str, request: Request, policy: Policy, look: Look, **more: object) -> HTMLResponse:
    consent = request.state.consent
    purposes = [(id_, _title(policy.in_force[id_].title, policy), consent.allows(id_)) for id_ in policy.optional]
    html = templates.get_template("site.html").render(
        page=name, site=policy.site.name, purposes=purposes, scheme=look.scheme, **more
    )
    # Where the policy file has a Content-Security-Policy, the middleware sends that one.
    is_left_to_the_file = policy.security.content_security_policy
    headers = {} if is_left_to_the_file else {"content-security-policy": _CONTENT_SECURITY_POLICY}
    return HTMLResponse(html, headers=headers)


def _title(texts: Mapping[str, str], policy: Policy) -> str:
    """Return a text in English, as the words of the site are, or else in the prevailing language."""
    return texts.get("en", texts[policy.site.prevailing_language])
