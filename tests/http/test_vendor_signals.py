"""Tests of the script at the beginning of pages' heads that tells vendors' tags what holds."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.support.asgi import (
    PAGE,
    PHONE,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    call,
    install,
    page_app,
    policy,
    reply_app,
)

VENDORS = (
    SITE
    + """
[vendors]
google_consent_mode = { analytics_storage = "analytics", ad_storage = "media", security_storage = "necessary" }
matomo = "analytics"
hotjar = "analytics"
"""
)
HTML = "text/html; charset=utf-8"
BROWSER: Fields = [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document")]


def site(app: Any = None, **options: Any) -> Visitor:
    return Visitor(install(app or page_app(), options.pop("text", VENDORS), **options), BROWSER)


def told(reply: Reply) -> dict[str, Any]:
    """Return what a page tells the script."""
    (data,) = re.findall(r"<script data-vendors='([^']*)'", reply.text)
    page: dict[str, Any] = json.loads(html.unescape(data))
    return page


def test_script_comes_before_everything_else_in_the_head() -> None:
    assert site().get().text.startswith('<!doctype html><html lang="en"><head><script data-vendors=')


def test_first_page_denies_and_names_only_who_can_be_told() -> None:
    page = told(site().get())
    assert page["holds"] == {"analytics": False, "media": False, "necessary": True}
    assert [vendor["stub"].get("function", vendor["stub"].get("array")) for vendor in page["vendors"]] == [
        "gtag",
        "_paq",
    ]
    assert page["state"] == "/privacy-choices/state"


@pytest.mark.requirement("VC-02")
def test_signal_without_a_purpose_is_denied() -> None:
    google = told(site().get())["vendors"][0]
    assert google["signals"]["personalization_storage"] == ""
    assert set(google["signals"]) == set(policy(VENDORS).vendors[0].vendor.signals)


@pytest.mark.requirement("VC-04")
def test_each_page_says_what_the_visitor_answered() -> None:
    visitor = site()
    for change, allowed in [({"analytics": True}, True), ({"analytics": False}, False)]:
        visitor.save(**change)
        assert [told(visitor.get())["holds"]["analytics"] for _ in range(3)] == [allowed] * 3


@pytest.mark.parametrize("text", [SITE, SITE + '[vendors]\nlinkedin = "media"\n'], ids=["no vendors", "gate only"])
def test_page_has_no_script_where_nobody_is_told(text: str) -> None:
    visitor = site(text=text)
    visitor.refuse()
    assert visitor.get().body == PAGE


@pytest.mark.parametrize("reads", [False, True], ids=["quick way", "careful way"])
def test_page_without_banner_and_link_still_has_the_script(reads: bool) -> None:
    visitor = site(page_app(reads=["media"] if reads else []), settings_link=False)
    visitor.refuse()
    reply = visitor.get()
    assert told(reply)["holds"]["media"] is False
    assert reply.body.replace(re.findall(rb"<script data.*?</script>", reply.body)[0], b"") == PAGE


def test_nothing_else_is_changed() -> None:
    visitor = site(reply_app(b"<p>A part of a page", HTML))
    assert visitor.get().body == b"<p>A part of a page"
    assert call(install(page_app(), VENDORS), "HEAD").get("content-length") == str(len(PAGE))
    assert b"data-vendors" not in call(install(page_app(), VENDORS, inject=False)).body


def test_page_is_whole_and_never_confirmed_as_unchanged() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["headers"]))
        await page_app(headers=[("etag", '"1"'), ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")])(
            scope, receive, send
        )

    visitor = site(app)
    visitor.refuse()
    reply = visitor.get(headers=[("accept-encoding", "br"), ("if-none-match", '"1"')])
    assert not {b"accept-encoding", b"if-none-match"} & seen[-1].keys()
    assert not reply.all("etag") + reply.all("last-modified")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "inline"),
        ([("content-security-policy", "img-src 'self'")], "inline"),
        ([("content-security-policy", "script-src 'unsafe-inline'")], "inline"),
        ([("content-security-policy", "default-src 'self'")], "file"),
        ([("content-security-policy", "script-src 'self' 'nonce-abc'")], "inline nonce"),
        ([("content-security-policy", "script-src 'strict-dynamic' 'unsafe-inline'")], "file"),
        ([("content-security-policy-report-only", "script-src 'self'")], "file"),
    ],
)
def test_policy_of_the_page_decides_whether_the_script_is_inline(headers: Fields, expected: str) -> None:
    (tag,) = re.findall(r"<script data-vendors='[^']*'([^>]*)>", site(page_app(headers=headers)).get().text)
    assert (" src=" in tag) == (expected == "file")
    assert ('nonce="abc"' in tag) == ("nonce" in expected)


def test_page_for_a_script_gets_the_file_if_nonces_count() -> None:
    app = page_app(headers=[("content-security-policy", "script-src 'self' 'nonce-abc'")])
    assert 'src="/privacy-choices/assets/vendors.' in site(app).get(headers=[("sec-fetch-dest", "empty")]).text


def test_text_of_the_site_cannot_leave_the_attribute() -> None:
    text = SITE + "[vendors]\nsegment = { \"a'><script>&\" = 'media' }\n"
    reply = site(text=text).get()
    assert told(reply)["vendors"][0]["signals"] == {"a'><script>&": "media"}


@pytest.mark.requirement("VC-08")
def test_options_of_google_add_their_calls() -> None:
    options = 'url_passthrough = true, ads_data_redaction = true, mode = "advanced", wait_for_update = 400'
    text = f'{SITE}[vendors]\ngoogle_consent_mode = {{ ad_storage = "media", {options} }}\n'
    (google,) = told(site(text=text).get())["vendors"]
    assert google["default"]["always"] == [
        ["gtag", "consent", "default", "$signals"],
        ["gtag", "set", "url_passthrough", True],
        ["gtag", "set", "ads_data_redaction", True],
    ]
    assert google["more"] == {"wait_for_update": 400}


# What is cleared from the browser's storage.

STORED = (
    SITE
    + """
[[cookies]]
name = "seen.*"
kind = "storage"
purpose = "analytics"

[[cookies]]
name = "player"
kind = "storage"
purpose = "media"

[[cookies]]
name = "cart"
kind = "storage"
purpose = "necessary"
"""
)


def test_page_names_what_is_stored_and_which_of_it_is_refused() -> None:
    visitor = site(text=STORED)
    page = told(visitor.get())
    assert page["vendors"] == []
    assert page["stored"] == {"analytics": r"seen\..*", "media": "player"}
    assert page["refused"] == []
    visitor.post({"choice": "save", "purposes": {"analytics": True}})
    page = told(visitor.get())
    assert page["refused"] == ["media"]
    assert page["holds"] == {"analytics": True, "media": False}


def test_signal_refuses_nothing_that_is_stored() -> None:
    visitor = site(text=STORED)
    visitor.post({"choice": "accept_all"})
    assert told(visitor.get(headers=[("sec-gpc", "1"), ("dnt", "1")]))["refused"] == []


def test_consent_that_has_ended_clears_what_was_stored_under_it() -> None:
    clock = Clock()
    visitor = site(text=STORED, clock=clock)
    visitor.post({"choice": "accept_all"})
    visitor.jar["_ga"] = "1"
    assert told(visitor.get())["refused"] == []
    clock.forward(days=185)
    assert told(visitor.get())["refused"] == ["analytics", "media"]
