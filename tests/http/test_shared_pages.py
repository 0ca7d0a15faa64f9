"""Tests of pages that are the same for everybody, and of the cookie that tells their script what holds."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

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


def test_page_of_the_privacy_policy_has_the_link_and_no_question() -> None:
    its_page = SITE.replace('contact = "', 'policy_url = "/page"\ncontact = "')
    text = Visitor(site(text=its_page), BROWSER).get("/page").text
    assert "pchoice-shared" not in text
    assert "data-privacy-settings" in text


def test_page_asks_app_for_the_whole_page_whoever_wants_it() -> None:
    seen: list[set[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name.decode() for name, _ in scope["headers"]} - {"host"})
        await page_app(headers=[PUBLIC])(scope, receive, send)

    conditions = [("accept-encoding", "gzip"), ("if-none-match", '"1"'), ("if-modified-since", "x")]
    for accepts in ([("accept", "text/html,*/*")], [("accept", "*/*")], []):
        call(site(app), headers=[*conditions, *accepts], extensions={"http.response.pathsend": {}})
        assert not seen[-1] & {name for name, _ in conditions}
    for accepts in ([("accept", "*/*"), ("sec-fetch-dest", "script")], [("accept", "image/*")]):
        call(site(app), headers=[*conditions, *accepts])
        assert seen[-1] >= {name for name, _ in conditions}


def test_language_is_that_of_the_page_or_of_the_policy_and_never_of_the_browser() -> None:
    for tag, language in (("ja", "ja"), ("en", "en"), ("fr", "en"), ("", "en")):
        page = PAGE.replace(b'lang="en"', f'lang="{tag}"'.encode())
        reply = call(site(reply_app(page, "text/html; charset=utf-8")), headers=BROWSER)
        assert re.findall(r'class="pchoice-shared"[^>]* lang="(\w+)"', reply.text) == [language]
        assert reply.get("vary") == ""
    app = site(language=lambda request: "ja")
    assert 'lang="ja" dir="ltr" data-style' in call(app, headers=BROWSER).text


def test_page_under_strict_policy_has_the_style_in_a_file() -> None:
    strict = ("content-security-policy", "default-src 'self'")
    html = call(site(page_app(headers=[strict])), headers=BROWSER).text
    assert '<link rel="stylesheet" href="/privacy-choices/assets/choices.' in html.partition("</head>")[0]
    assert '<style class="pchoice-style"' not in html


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


def test_page_that_read_the_decision_is_private() -> None:
    app = site(page_app(headers=[PUBLIC], reads=["media"]))
    visitor = Visitor(app, BROWSER)
    visitor.accept()
    reply = visitor.get()
    assert reply.get("cache-control") == "max-age=60, private"
    assert reply.get("vary") == "Cookie, Sec-GPC, DNT"
    assert "pchoice-shared" in reply.text


def test_nobody_is_told_to_declare_the_cookie_that_is_left_when_the_option_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call(site(page_app(), shared_pages=False), headers=[*BROWSER, ("cookie", f"{STATE}=1a2b3c4d..")])
    assert caplog.messages == []


def test_cookies_of_the_app_pass_the_gate_but_not_on_public_responses(caplog: pytest.LogCaptureFixture) -> None:
    sets = ["session=1; Path=/", "_ga=1; Path=/; Domain=site.example"]
    private, public = (site(page_app(sets=sets, headers=fields)) for fields in ([], [PUBLIC]))
    visitor = Visitor(private, BROWSER)
    assert list(visitor.get().set_cookies) == ["session"]
    visitor.accept()
    assert list(visitor.get().set_cookies) == ["session", "_ga"]
    visitor = Visitor(public, BROWSER)
    visitor.accept()
    with caplog.at_level(logging.WARNING):
        assert [visitor.get().set_cookies for _ in range(3)] == [{}, {}, {}]
    assert [record.getMessage() for record in caplog.records if "public response" in record.getMessage()] == [
        "A public response sets a cookie. It is sent without, since a cache would give it to everybody."
    ]


def test_other_responses_stay_as_they_are() -> None:
    log = MemorySink()
    visitor = Visitor(site(reply_app(headers=[PUBLIC]), access_log=log), BROWSER)
    visitor.accept()
    assert visitor.get("/file").get("cache-control") == PUBLIC[1]
    assert visitor.request("HEAD", "/file").get("vary") == ""
    assert len(log.records) == 2


def test_visits_that_reach_the_server_are_traced_and_named_by_their_route() -> None:
    log = MemorySink()

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    app = site(Starlette(routes=[Route("/pages/{id}", page)]), access_log=log)
    visitor = Visitor(app, BROWSER)
    visitor.get("/pages/1")
    visitor.accept()
    visitor.get("/pages/1")
    (record,) = log.records
    assert record["http.route"] == "/pages/{id}"
    visitor.jar.pop("__Host-visitor")
    assert visitor.get("/pages/1").set_cookies == {}
    assert len(log.records) == 1


def test_landing_is_recorded_once() -> None:
    log = MemorySink()
    visitor = Visitor(site(access_log=log), BROWSER)
    visitor.send_form("choice=accept_all&source=banner&next=/page")
    for _ in range(2):
        assert visitor.get("/page").set_cookies == {}
    assert [record["url.path"] for record in log.records] == ["/page", "/page"]


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


# The cookie.


def state_cookie(visitor: Visitor) -> str:
    return visitor.jar.get(STATE, "")


def test_cookie_tells_what_holds_and_nothing_else() -> None:
    one, other = (Visitor(site(), BROWSER) for _ in range(2))
    version = policy().version[:8]
    for answer, letters in ((Visitor.accept, "ab"), (Visitor.refuse, "")):
        reply = answer(one)
        answer(other)
        assert state_cookie(one) == state_cookie(other) == f"{version}.{letters}."
        line = reply.set_cookies[STATE]
        assert line.endswith("; Max-Age=15897600; Path=/; SameSite=Lax; Secure")
    one.save(media=True)
    assert state_cookie(one) == f"{version}.b."


def test_cookie_is_not_set_without_the_option() -> None:
    visitor = Visitor(install(), BROWSER)
    assert STATE not in visitor.accept().set_cookies
    assert STATE not in visitor.get(PREFIX).text


def test_cookie_names_the_signals_in_sight() -> None:
    visitor = Visitor(site(), [*BROWSER, ("sec-gpc", "1"), ("dnt", "1")])
    visitor.save(analytics=True, media=True)
    assert state_cookie(visitor) == f"{policy().version[:8]}.ab.dg"


def test_cookie_says_that_something_is_left_to_ask() -> None:
    visitor = Visitor(site(), BROWSER)
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    assert state_cookie(visitor) == "open"
    visitor.refuse()
    assert state_cookie(visitor) == f"{policy().version[:8]}.."


def test_state_brings_the_cookie_up_to_date() -> None:
    clock = Clock()
    visitor = Visitor(site(clock=clock), BROWSER)
    assert visitor.get(f"{PREFIX}/state").set_cookies == {}
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


def test_server_never_believes_the_cookie() -> None:
    visitor = Visitor(site(), BROWSER)
    visitor.jar[STATE] = f"{policy().version[:8]}.ab."
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": False}


def test_cookie_is_about_the_site_where_a_service_was_answered_on() -> None:
    visitor = Visitor(site(), BROWSER)
    visitor.post({"choice": "accept_all", "service": "whois"})
    visitor.get(f"{PREFIX}/state", query=b"page=/whois/x")
    assert state_cookie(visitor) == "open"  # the rest of the site asks still
    visitor.accept()
    visitor.get(f"{PREFIX}/state", query=b"page=/whois/x")
    assert state_cookie(visitor) == f"{policy().version[:8]}.ab."


def test_settings_page_lists_the_cookie() -> None:
    html = Visitor(site(), BROWSER).get(PREFIX).text
    assert STATE in html
    assert "Tells the pages of this site what you answered" not in html
    html = Visitor(site(), BROWSER).get(PREFIX, query=b"language=en").text
    assert "Tells the pages of this site what you answered" in html
