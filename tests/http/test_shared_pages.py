"""Tests of pages that are the same for everybody, and of the cookie that tells their script what holds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.endpoints.test_laws import COUNTRY, with_laws
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    ROBOT,
    SITE,
    Clock,
    Field,
    Reply,
    Visitor,
    call,
    install,
    page_app,
    policy,
    reply_app,
)

PUBLIC = ("cache-control", "public, max-age=60")
BROWSER = [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document"), ("accept-language", "ja")]
STATE = "__Host-consent-state"


def site(app: Any = None, text: str = SITE, **options: Any) -> ConsentMiddleware:
    app = app or page_app(headers=[PUBLIC, ("etag", '"1"')])
    return install(app, text, **{"shared_pages": True, "settings_link": True, **options})


def neutral(reply: Reply) -> tuple[int, list[Field], bytes]:
    """Return all that a cache would keep of a response."""
    return reply.status, reply.headers, reply.body


def everybody(app: ConsentMiddleware) -> list[Visitor]:
    """Return visitors who answered, who did not, with signals, in a frame, without a browser, and a robot."""
    granted, refused, partial = (Visitor(app, BROWSER) for _ in range(3))
    granted.accept()
    refused.refuse()
    partial.save(media=True)
    for visitor in (granted, partial):
        visitor.jar["_ga"] = visitor.jar["player"] = "1"
    forged = Visitor(app, BROWSER)
    forged.jar[STATE] = "0.ab."
    return [
        *(granted, refused, partial, forged),
        Visitor(app, BROWSER),
        Visitor(app, [*BROWSER, ("sec-gpc", "1"), ("dnt", "1")]),
        Visitor(app, [*BROWSER[:2], ("sec-fetch-dest", "iframe")]),
        Visitor(app, [("user-agent", ROBOT), ("accept", "*/*"), ("accept-encoding", "gzip")]),
        Visitor(app),
        Visitor(app, [*BROWSER, ("if-none-match", '"1"'), ("accept-encoding", "gzip, br")]),
    ]


@pytest.mark.requirement("CA-03")
@pytest.mark.parametrize("options", [{}, {"settings_link": False}, {"layout": "modal"}])
def test_page_is_the_same_for_everybody(options: dict[str, Any]) -> None:
    app = site(ledger=MemoryLedger(), access_log=MemorySink(), **options)
    replies = [visitor.get("/page", query=b"utm_source=x") for visitor in everybody(app) for _ in range(2)]
    assert len({str(neutral(reply)) for reply in replies}) == 1
    reply = replies[0]
    assert [reply.get(name) for name in ("vary", "cache-control", "set-cookie")] == ["", PUBLIC[1], ""]
    assert 'class="pchoice-shared" hidden' in reply.text
    assert 'class="pchoice ' not in reply.text.replace('data-class="pchoice ', "")
    assert "utm_source" not in reply.text
    assert reply.text.count("/shared.") == 1


def test_service_says_which_purposes_it_refuses() -> None:
    html = call(site(), path="/whois/x", headers=BROWSER).text
    assert 'data-off="analytics"' in html
    assert "data-off" not in call(site(), headers=BROWSER).text


def test_page_whose_law_depends_on_the_country_asks_the_server_first() -> None:
    app = site(text=with_laws(), country=COUNTRY)
    american, german = (Visitor(app, [*BROWSER, (COUNTRY, place)]).get() for place in ("US", "DE"))
    assert neutral(american) == neutral(german)
    assert " data-first" in german.text
    assert " data-first" not in call(site(), headers=BROWSER).text


def test_page_links_to_what_the_law_of_one_of_the_places_asks_for() -> None:
    link = f'href="{PREFIX}/transmission'
    for app in (site(text=with_laws(), country=COUNTRY), site(text=with_laws(lines='laws = ["jp"]\n'))):
        assert link in call(app, headers=BROWSER).text
    for app in (site(), site(text=with_laws(lines='laws = ["eu"]\n'))):
        assert link not in call(app, headers=BROWSER).text


def test_nobody_is_told_to_declare_the_cookie_that_is_left_when_the_option_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call(site(page_app(), shared_pages=False), headers=[*BROWSER, ("cookie", f"{STATE}=1a2b3c4d..")])
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"csp": "enforce"}, "shared_pages: csp and the table"),
        ({"inject": False}, "shared_pages: the question has to be in the pages"),
        ({"shared_pages": 1}, "shared_pages: 1 is not valid. Write True or False"),
    ],
)
def test_what_makes_pages_differ_stops_the_start(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        site(**options)


def test_page_tells_vendors_that_nothing_is_allowed_whoever_asks() -> None:
    text = SITE + '[vendors]\nmatomo = "analytics"\nmicrosoft_uet = "necessary"\n'
    replies = [neutral(visitor.get("/page")) for visitor in everybody(site(text=text))]
    assert replies == replies[:1] * len(replies)
    assert b'"holds":{"analytics":false,"necessary":true}' in replies[0][2]
    assert replies[0][2].index(b"data-vendors") < replies[0][2].index(b"<title>")


@pytest.mark.parametrize(
    ("headers", "is_whole"),
    [
        ([("accept", "text/html,*/*")], True),
        ([("accept", "*/*")], True),
        ([], True),
        ([("accept", "*/*"), ("sec-fetch-dest", "script")], False),
        ([("accept", "image/*")], False),
    ],
)
def test_app_is_asked_for_the_whole_page_whoever_wants_it(headers: list[tuple[str, str]], is_whole: bool) -> None:
    seen: list[set[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name.decode() for name, _ in scope["headers"]})
        await page_app(headers=[PUBLIC])(scope, receive, send)

    conditions = {"accept-encoding": "gzip", "if-none-match": '"1"', "if-modified-since": "x"}
    call(site(app), headers=[*conditions.items(), *headers])
    assert (conditions.keys() <= seen[0], conditions.keys().isdisjoint(seen[0])) == (not is_whole, is_whole)


@pytest.mark.parametrize(("tag", "language"), [("ja", "ja"), ("en", "en"), ("fr", "en"), ("", "en")])
def test_language_is_that_of_the_page_or_of_the_policy_and_never_of_the_browser(tag: str, language: str) -> None:
    page = PAGE.replace(b'lang="en"', f'lang="{tag}"'.encode())
    reply = call(site(reply_app(page, "text/html; charset=utf-8")), headers=BROWSER)
    assert re.findall(r'class="pchoice-shared"[^>]* lang="(\w+)"', reply.text) == [language]
    chosen = site(reply_app(page, "text/html; charset=utf-8"), language=lambda request: "ja")
    assert 'lang="ja" dir="ltr" data-style' in call(chosen, headers=BROWSER).text


def test_visits_are_traced_by_an_id_that_the_endpoints_alone_set() -> None:
    log = MemorySink()
    visitor = Visitor(site(access_log=log), BROWSER)
    visitor.get("/page")
    visitor.send_form("choice=accept_all&source=banner&next=/page")
    for _ in range(2):
        assert visitor.get("/page").set_cookies == {}
    assert [record["url.path"] for record in log.records] == ["/page", "/page"]
    visitor.jar.pop("__Host-visitor")
    assert visitor.get("/page").set_cookies == {}
    assert len(log.records) == 2


# The cookie.


VERSION = policy().version[:8]


def state_cookie(visitor: Visitor) -> str:
    return visitor.jar.get(STATE, "")


@pytest.mark.parametrize(
    ("answers", "headers", "value"),
    [
        ([{"choice": "accept_all"}], [], f"{VERSION}.ab."),
        ([{"choice": "refuse_all"}], [], f"{VERSION}.."),
        ([{"choice": "save", "purposes": {"media": True}}], [], f"{VERSION}.b."),
        ([{"choice": "grant", "purposes": {"media": True}}], [], "open"),
        ([{"choice": "grant", "purposes": {"media": True}}, {"choice": "refuse_all"}], [], f"{VERSION}.."),
        ([{"choice": "save", "purposes": {"media": True}}], [("sec-gpc", "1"), ("dnt", "1")], f"{VERSION}.b.dg"),
        # It is about the site, also where the answer was given on a page of a service.
        ([{"choice": "accept_all", "service": "whois"}], [], "open"),
    ],
)
def test_answer_sets_cookie_that_tells_what_is_allowed(
    answers: list[dict[str, Any]], headers: list[tuple[str, str]], value: str
) -> None:
    visitor = Visitor(site(), [*BROWSER, *headers])
    for answer in answers:
        line = visitor.post(answer).set_cookies[STATE]
    assert state_cookie(visitor) == value
    assert line.endswith("; Max-Age=15897600; Path=/; SameSite=Lax; Secure")
    visitor.get(f"{PREFIX}/state", query=b"page=/whois/x")
    assert state_cookie(visitor) == value


def test_state_brings_the_cookie_up_to_date_and_never_believes_it() -> None:
    clock = Clock()
    visitor = Visitor(site(clock=clock), BROWSER)
    visitor.jar[STATE] = f"{VERSION}.ab."
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": False}
    assert state_cookie(visitor) == ""
    visitor.accept()
    right = state_cookie(visitor)
    assert visitor.get(f"{PREFIX}/state").set_cookies == {}
    for wrong in ("", "0.zz.", right + "x"):
        visitor.jar[STATE] = wrong
        visitor.state()
        assert state_cookie(visitor) == right
    clock.forward(days=10)
    visitor.jar.pop(STATE)
    assert f"Max-Age={174 * 86400};" in visitor.get(f"{PREFIX}/state").set_cookies[STATE]
    clock.forward(days=200)
    assert "Max-Age=0" in visitor.get(f"{PREFIX}/state").set_cookies[STATE]


def test_cookie_lives_and_ends_where_the_hosts_of_the_site_share_answers() -> None:
    clock = Clock()
    hosts = 'domain = "site.example"\nhosts = ["site.example", "shop.site.example"]\n'
    visitor = Visitor(site(text=SITE.replace("[site]", f"[site]\n{hosts}", 1), clock=clock), BROWSER)
    visitor.accept()
    clock.forward(days=200)
    deleted = visitor.get(f"{PREFIX}/state", host="shop.site.example").set_cookies["__Secure-consent-state"]
    assert "; Max-Age=0; " in deleted
    assert "; Domain=site.example;" in f"{deleted};"
