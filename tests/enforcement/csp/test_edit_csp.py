"""Tests of edit_csp: the app's policy for browsers names a recipient's origins only while its purpose is allowed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import ASGIApp

from tests.support.asgi import PAGE, PHONE, PREFIX, SITE, Fields, Reply, Visitor, call, install, page_app, reply_app

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
MAPS, STATS = "https://maps.example.com", "https://stats.example.com"
RECIPIENTS = SITE.replace(
    'origins = ["https://maps.example.com"]', 'origins = ["https://maps.example.com"]\ndirectives = ["frame", "img"]'
).replace(
    "[features.map]",
    f"""[[recipients]]
id = "stats"
name = "Stats Inc."
purpose = "analytics"
origins = ["{STATS}"]
directives = ["connect"]
receives = {{ en = "IP address", ja = "IPアドレス" }}

[features.map]""",
)
CSP = f"default-src 'self'; img-src 'self' {MAPS} data:; frame-src {MAPS}; connect-src 'self' {STATS}"
BARE = "default-src 'self'; img-src 'self' data:; frame-src 'none'; connect-src 'self'"


def csp_visitor(app: ASGIApp | None = None, **options: Any) -> Visitor:
    """Return a visitor of a site with edit_csp."""
    return Visitor(install(app or page_with_csp(CSP), RECIPIENTS, **{"edit_csp": True, **options}), HTML)


def page_with_csp(csp: str, name: str = "content-security-policy", **more: Any) -> ASGIApp:
    return page_app(headers=[(name, csp), *more.pop("headers", [])])


def csp_of(reply: Reply) -> str:
    (csp,) = reply.all("content-security-policy")
    return csp


def needs_reload(reply: Reply) -> bool:
    tag = re.search(r'<section class="pchoice [^>]*>', reply.text)
    assert tag is not None
    return " data-reload " in tag[0]


def test_origins_of_recipients_follow_decision() -> None:
    visitor = csp_visitor()
    assert csp_of(visitor.get()) == BARE
    visitor.accept()
    assert csp_of(visitor.get()) == CSP
    visitor.refuse()
    assert csp_of(visitor.get()) == BARE
    visitor.save(media=True)
    assert csp_of(visitor.get()) == CSP.replace(f" {STATS}", "")
    visitor.save(analytics=True)
    assert csp_of(visitor.get()) == BARE + f" {STATS}"


def test_origin_missing_in_policy_is_added_once_allowed() -> None:
    visitor = csp_visitor(page_with_csp("default-src 'self'"))
    assert csp_of(visitor.get()) == "default-src 'self'"
    visitor.accept()
    added = f"default-src 'self'; connect-src 'self' {STATS}; frame-src 'self' {MAPS}; img-src 'self' {MAPS}"
    assert csp_of(visitor.get()) == added


def test_signal_and_service_remove_origins() -> None:
    visitor = csp_visitor()
    visitor.accept()
    assert csp_of(visitor.get("/whois/x")) == CSP.replace(f" {STATS}", "")
    assert csp_of(visitor.get(headers=[("sec-gpc", "1")])) == BARE
    assert csp_of(visitor.get()) == BARE  # what a signal has switched off stays off


def test_policy_is_unchanged_without_edit_csp_or_directives() -> None:
    for text, options in ((RECIPIENTS, {"edit_csp": False}), (RECIPIENTS, {}), (SITE, {"edit_csp": True})):
        visitor = Visitor(install(page_with_csp(CSP), text, **options), HTML)
        assert csp_of(visitor.get()) == CSP
        visitor.refuse()
        assert csp_of(visitor.get()) == CSP


@pytest.mark.parametrize("options", [{}, {"inject": False}, {"settings_link": True}])
def test_policy_is_edited_in_every_response(options: dict[str, Any]) -> None:
    for app in (page_with_csp(CSP), reply_app(b"{}", "application/json", headers=[("content-security-policy", CSP)])):
        assert csp_of(csp_visitor(app, **options).get()) == BARE


def test_report_only_policy_is_edited() -> None:
    reply = csp_visitor(page_with_csp(CSP, "content-security-policy-report-only")).get()
    assert reply.all("content-security-policy-report-only") == [BARE]
    assert not needs_reload(reply)


# Caching.


@pytest.mark.parametrize("csp", [CSP, "default-src 'self'", "upgrade-insecure-requests"])
def test_response_with_editable_policy_is_private_and_varies(csp: str) -> None:
    app = reply_app(
        b"{}", "application/json", headers=[("content-security-policy", csp), ("cache-control", "public, max-age=9")]
    )
    reply = csp_visitor(app, inject=False).get()
    assert reply.get("cache-control") == "max-age=9, private"
    assert reply.get("vary") == "Cookie, Sec-GPC, DNT"


@pytest.mark.parametrize("headers", [[], [("x-content-security-policy", CSP)]])
def test_response_without_policy_stays_public(headers: Fields) -> None:
    for app in (reply_app(b"{}", "application/json", headers=headers), page_app(headers=headers)):
        reply = csp_visitor(app, inject=False).get()
        assert (reply.get("cache-control"), reply.get("vary")) == ("", "")
        assert reply.headers == call(app, headers=HTML).headers


# A page keeps the policy that it was loaded with. A grant may need a reload.


@pytest.mark.parametrize(
    ("csp", "reload"),
    [
        (CSP, True),
        ("default-src 'self'", True),
        (f"default-src {MAPS} {STATS}", True),
        ("base-uri 'none'", False),
        ("script-src 'self'", False),
    ],
)
def test_banner_says_whether_grant_needs_reload(csp: str, reload: bool) -> None:
    assert needs_reload(csp_visitor(page_with_csp(csp)).get()) is reload
    assert not needs_reload(csp_visitor(page_with_csp(csp), edit_csp=False).get())


def test_grant_needs_no_reload_once_nothing_is_withheld() -> None:
    visitor = csp_visitor(page_with_csp(f"frame-src {MAPS}; img-src {MAPS}"))
    assert needs_reload(visitor.get())
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    assert not needs_reload(visitor.get())


@pytest.mark.parametrize("edits", [True, False])
def test_state_says_whether_policy_is_edited(edits: bool) -> None:
    """A page without the banner reads it there, because a grant in the settings or in another tab may need a reload."""
    visitor = csp_visitor(edit_csp=edits)
    assert visitor.state()["edits_csp"] is edits
    assert visitor.post({"choice": "refuse_all"}).json["edits_csp"] is edits


def test_policy_of_settings_page_does_not_depend_on_answer() -> None:
    visitor = csp_visitor()
    before = csp_of(visitor.get(PREFIX))
    visitor.accept()
    assert csp_of(visitor.get(PREFIX)) == before
    assert MAPS not in before


def test_edit_csp_leaves_body_of_page_unchanged() -> None:
    visitor = csp_visitor(inject=False)
    for choice in ("refuse_all", "accept_all"):
        visitor.post({"choice": choice})
        assert visitor.get().body == PAGE
