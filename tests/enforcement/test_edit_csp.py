"""With edit_csp the app's Content-Security-Policy names a recipient's origins just where its purpose is allowed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import ASGIApp

from tests.support.asgi import PAGE, PHONE, PREFIX, SITE, Fields, Reply, Visitor, answering, call, install, page

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


def edited(app: ASGIApp | None = None, **options: Any) -> Visitor:
    """A visitor of a site whose policy for browsers is edited."""
    return Visitor(install(app or with_csp(CSP), RECIPIENTS, **{"edit_csp": True, **options}), HTML)


def with_csp(csp: str, name: str = "content-security-policy", **more: Any) -> ASGIApp:
    return page(headers=[(name, csp), *more.pop("headers", [])])


def said(reply: Reply) -> str:
    (csp,) = reply.all("content-security-policy")
    return csp


def reloads(reply: Reply) -> bool:
    tag = re.search(r'<section class="pchoice [^>]*>', reply.text)
    assert tag is not None
    return " data-reload " in tag[0]


def test_the_origins_of_recipients_come_and_go_with_the_decision() -> None:
    visitor = edited()
    assert said(visitor.get()) == BARE
    visitor.accept()
    assert said(visitor.get()) == CSP
    visitor.refuse()
    assert said(visitor.get()) == BARE
    visitor.save(media=True)
    assert said(visitor.get()) == CSP.replace(f" {STATS}", "")
    visitor.save(analytics=True)
    assert said(visitor.get()) == BARE + f" {STATS}"


def test_an_origin_that_the_app_did_not_name_is_added_once_it_is_allowed() -> None:
    visitor = edited(with_csp("default-src 'self'"))
    assert said(visitor.get()) == "default-src 'self'"
    visitor.accept()
    added = f"default-src 'self'; connect-src 'self' {STATS}; frame-src 'self' {MAPS}; img-src 'self' {MAPS}"
    assert said(visitor.get()) == added


def test_a_signal_and_a_service_refuse_there_too() -> None:
    visitor = edited()
    visitor.accept()
    assert said(visitor.get("/whois/x")) == CSP.replace(f" {STATS}", "")
    assert said(visitor.get(headers=[("sec-gpc", "1")])) == BARE
    assert said(visitor.get()) == BARE  # what a signal has switched off stays off


def test_unless_the_site_wants_it_nothing_is_edited() -> None:
    for text, options in ((RECIPIENTS, {"edit_csp": False}), (RECIPIENTS, {}), (SITE, {"edit_csp": True})):
        visitor = Visitor(install(with_csp(CSP), text, **options), HTML)
        assert said(visitor.get()) == CSP
        visitor.refuse()
        assert said(visitor.get()) == CSP


@pytest.mark.parametrize("options", [{}, {"inject": False}, {"settings_link": True}])
def test_it_is_edited_in_every_response_whatever_is_put_into_pages(options: dict[str, Any]) -> None:
    for app in (with_csp(CSP), answering(b"{}", "application/json", headers=[("content-security-policy", CSP)])):
        assert said(edited(app, **options).get()) == BARE


def test_a_policy_that_only_reports_is_edited_alike() -> None:
    reply = edited(with_csp(CSP, "content-security-policy-report-only")).get()
    assert reply.all("content-security-policy-report-only") == [BARE]
    assert not reloads(reply)


# What caches are told.


@pytest.mark.parametrize("csp", [CSP, "default-src 'self'", "upgrade-insecure-requests"])
def test_a_response_whose_policy_was_made_for_a_visitor_is_private_and_varies(csp: str) -> None:
    app = answering(
        b"{}", "application/json", headers=[("content-security-policy", csp), ("cache-control", "public, max-age=9")]
    )
    reply = edited(app, inject=False).get()
    assert reply.get("cache-control") == "max-age=9, private"
    assert reply.get("vary") == "Cookie, Sec-GPC, DNT"


@pytest.mark.parametrize("headers", [[], [("x-content-security-policy", CSP)]])
def test_a_response_without_a_policy_is_for_everybody(headers: Fields) -> None:
    for app in (answering(b"{}", "application/json", headers=headers), page(headers=headers)):
        reply = edited(app, inject=False).get()
        assert (reply.get("cache-control"), reply.get("vary")) == ("", "")
        assert reply.headers == call(app, headers=HTML).headers


# A page cannot loosen the policy that it came with.


@pytest.mark.parametrize(
    ("csp", "anew"),
    [
        (CSP, True),
        ("default-src 'self'", True),
        (f"default-src {MAPS} {STATS}", True),
        ("base-uri 'none'", False),
        ("script-src 'self'", False),
    ],
)
def test_the_question_says_where_a_grant_needs_the_page_anew(csp: str, anew: bool) -> None:
    assert reloads(edited(with_csp(csp)).get()) is anew
    assert not reloads(edited(with_csp(csp), edit_csp=False).get())


def test_once_nothing_is_withheld_any_more_the_page_is_not_needed_anew() -> None:
    visitor = edited(with_csp(f"frame-src {MAPS}; img-src {MAPS}"))
    assert reloads(visitor.get())
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    assert not reloads(visitor.get())


@pytest.mark.parametrize("edits", [True, False])
def test_a_page_that_came_without_the_question_learns_it_from_the_state(edits: bool) -> None:
    """The page was answered, and withholds what a grant, in the settings or in another tab, would allow."""
    visitor = edited(edit_csp=edits)
    assert visitor.state()["edits_csp"] is edits
    assert visitor.post({"choice": "refuse_all"}).json["edits_csp"] is edits


def test_our_own_pages_have_the_policy_that_they_came_with() -> None:
    visitor = edited()
    before = said(visitor.get(PREFIX))
    visitor.accept()
    assert said(visitor.get(PREFIX)) == before
    assert MAPS not in before


def test_the_page_itself_is_not_touched() -> None:
    visitor = edited(inject=False)
    for choice in ("refuse_all", "accept_all"):
        visitor.post({"choice": choice})
        assert visitor.get().body == PAGE
