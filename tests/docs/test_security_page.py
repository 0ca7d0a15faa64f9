"""Tests of docs/security.md: its policy loads and is sent as said, and its template works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.enforcement.csp.own_policy import DEFAULT_POLICY
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.policy import from_toml
from tests.support.asgi import SITE, Visitor
from tests.support.documentation import blocks
from tests.support.policies import KEY

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")


def documented_policy() -> Policy:
    """Return the policy that the page's examples make."""
    data = tomllib.loads(SITE.replace('languages = ["en", "ja"]', 'languages = ["en"]'))
    tables = [tomllib.loads(block) for block in blocks("docs/security.md", "toml")]
    data["recipients"] = tables[0]["recipients"]
    data["security"] = {key: value for table in tables for key, value in table["security"].items()}
    for part in (*data["purposes"].values(), *data["features"].values()):
        for texts in part.values():
            if isinstance(texts, dict):
                texts.pop("ja", None)
    return Policy(**vars(from_toml.declarations(data)))


def test_documented_policy_is_sent_and_its_template_works(tmp_path: Path) -> None:
    (template,) = blocks("docs/security.md", "html+jinja")
    (tmp_path / "page.html").write_text(f"<!doctype html><title>x</title>{template}")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    middleware = Middleware(ConsentMiddleware, policy=documented_policy(), secret_keys=[KEY])
    visitor = Visitor(Starlette(routes=[Route("/", page)], middleware=[middleware]), [("accept", "text/html")])
    for grants in (False, True):
        if grants:
            visitor.save(media=True)
        reply = visitor.get()
        sent = dict(part.split(None, 1) for part in reply.get("content-security-policy").split(";"))
        for directive in ("frame-src", "img-src"):
            assert ("https://maps.example.com" in sent.get(directive, "")) is grants
        nonce = re.search(r'<script nonce="([^"]+)">start', reply.text)
        assert nonce
        assert f"'nonce-{nonce[1]}'" in sent["script-src"]
        assert reply.get("referrer-policy") == "strict-origin-when-cross-origin"
        assert ("https://maps.example.com" in reply.get("connection-allowlist")) is grants
        assert "https://partner.example" in reply.get("connection-allowlist")
        assert reply.get("permissions-policy").startswith("browsing-topics=()")


def test_page_shows_the_default_policy() -> None:
    (shown, _) = blocks("docs/security.md", "text")
    assert " ".join(shown.split()) == DEFAULT_POLICY
