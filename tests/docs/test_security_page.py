"""Tests of docs/security.md: its policy loads and is sent as said, and its app names recipients."""

from __future__ import annotations

import tomllib
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.http.csp import DEFAULT_POLICY
from cookie_consent.policy.reader import read_tables
from tests.support.asgi import SITE, Visitor
from tests.support.documentation import blocks
from tests.support.policies import KEY


def documented_policy() -> Policy:
    """Return the policy that the page's examples make."""
    data = tomllib.loads(SITE.replace('languages = ["en", "ja"]', 'languages = ["en"]'))
    tables = [tomllib.loads(block) for block in blocks("docs/security.md", "toml")]
    data["recipients"] = tables[0]["recipients"]
    data["security"] = tables[1]["security"]
    for part in (*data["purposes"].values(), *data["features"].values()):
        for texts in part.values():
            if isinstance(texts, dict):
                texts.pop("ja", None)
    return Policy(**vars(read_tables(data)))


def test_documented_policy_is_sent_and_its_app_names_recipients() -> None:
    (code,) = blocks("docs/security.md", "python")
    names: dict[str, Any] = {}
    exec(compile(code, "security.md", "exec"), names)  # noqa: S102
    middleware = Middleware(ConsentMiddleware, policy=documented_policy(), secret_keys=[KEY])
    site = Starlette(routes=[Route("/", names["offices"])], middleware=[middleware])
    visitor = Visitor(site, [("accept", "text/html")])
    for grants in (False, True):
        if grants:
            visitor.save(media=True)
        reply = visitor.get()
        of_app, ours = reply.all("content-security-policy")
        assert of_app == ("frame-src 'self' https://maps.example.com" if grants else "frame-src 'self'")
        sent = dict(part.split(None, 1) for part in ours.split(";"))
        for directive in ("frame-src", "img-src"):
            assert ("https://maps.example.com" in sent.get(directive, "")) is grants
        assert reply.get("referrer-policy") == "strict-origin-when-cross-origin"
        assert reply.get("permissions-policy").startswith("browsing-topics=()")


def test_page_shows_the_default_policy() -> None:
    (shown,) = blocks("docs/security.md", "text")
    assert " ".join(shown.split()) == DEFAULT_POLICY
