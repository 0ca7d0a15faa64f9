"""Tests of the landing page: once tracing is granted, one record says from which site the visitor came."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_record import origin_of
from tests.support.asgi import PAGE, PHONE, PREFIX, SITE, Clock, Fields, Reply, Visitor, install
from tests.support.browsers.browser import forms
from tests.tracing.test_counts import counts

SEARCH = "https://search.example"
HERE = "https://site.example"
LANDING = "/offices?utm_source=search&utm_medium=cpc&key=s3cr3t"
NAVIGATING = [("sec-fetch-dest", "document"), ("accept", "text/html")]


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _data(request: Request) -> Response:
    return PlainTextResponse("data")


APP = Router([Route("/data", _data), Route("/offices", _page), Route("/names", _page)])


class Arriving(Visitor):
    """A visitor who comes from another site, with a browser that runs no scripts."""

    def __init__(self, text: str = SITE, **options: Any) -> None:
        self.sink, self.clock = MemorySink(), Clock()
        self.site = install(APP, text, access_log=self.sink, clock=self.clock, **options)
        super().__init__(self.site, [("user-agent", PHONE)])

    def see(self, path: str = LANDING, before: str = f"{SEARCH}/?q=offices") -> Reply:
        fields: Fields = [*NAVIGATING, ("referer", before)] if before else NAVIGATING
        path, _, query = path.partition("?")
        return self.get(path, fields, query=query.encode())

    def press(self, page: Reply, choice: str, more: str = "") -> Reply:
        """Press a button of the banner, as a browser without scripts does."""
        form = forms(page.text)[0]
        address = urlsplit(form.addresses[choice])
        own = [*NAVIGATING, ("referer", f"{HERE}{LANDING}")]
        return self.send_form(form.pressed(choice) + more, own, address.path, query=address.query.encode())

    def come_back(self, reply: Reply) -> Reply:
        """Follow the redirect of an answer. The browser sends the page with the form as the referrer."""
        assert reply.status == 303
        return self.see(reply.get("location").partition("#")[0], f"{HERE}{LANDING}")

    def counted(self) -> dict[str, int]:
        return counts(self.site, self.sink)

    @property
    def visitor_cookie(self) -> str:
        return self.jar["__Host-visitor"]

    def recorded(self) -> list[tuple[Any, ...]]:
        """Return kind, path, query and referrer of each record."""
        names = ("record.kind", "url.path", "url.query", "http.request.referrer")
        return [tuple(record.get(name) for name in names) for record in self.sink.records]


LANDED = ("view", "/offices", "utm_source=search&utm_medium=cpc", SEARCH)


def test_page_after_grant_is_recorded_as_landing_page() -> None:
    visitor = Arriving()
    landing = visitor.see()
    assert visitor.sink.records == []
    visitor.come_back(visitor.press(landing, "accept_all"))
    visitor.see("/names", f"{HERE}{LANDING}")
    assert visitor.recorded() == [LANDED, ("view", "/names", None, f"{HERE}/offices")]
    assert visitor.sink.records[0]["http.response.status_code"] == 200
    assert len({record["visitor.id"] for record in visitor.sink.records}) == 1
    expected = {"views": 2, "views_recorded": 2, "asked en": 1, "granted en": 1}
    assert visitor.counted() == {**expected, "asked_first en": 1, "answered_first en": 1}


def test_answer_on_the_second_page_has_the_campaign_of_the_first() -> None:
    visitor = Arriving()
    visitor.see()
    second = visitor.see("/names", f"{HERE}{LANDING}")
    assert "s3cr3t" not in second.text
    assert forms(second.text)[0].addresses["refuse_all"] == PREFIX
    reply = visitor.press(second, "accept_all")
    assert reply.get("location").partition("#")[0] == "/names"
    visitor.see("/names", f"{HERE}/names")
    visitor.see("/names", f"{HERE}/names")
    assert visitor.recorded() == [
        ("view", "/names", "utm_source=search&utm_medium=cpc", f"{HERE}/names"),
        ("view", "/names", None, f"{HERE}/names"),
    ]


def test_forged_campaign_of_an_earlier_page_keeps_what_records_keep() -> None:
    visitor = Arriving()
    forged = b"referrer=%3Fkey%3Ds3cr3t%26gclid%3Dx%26utm_id%3D%22%3B%0D%0A" + b"a" * 4000
    visitor.send_form("choice=accept_all&source=banner&next=/offices", query=forged)
    assert len(visitor.visitor_cookie) < 1500
    visitor.see("/offices", f"{HERE}/offices")
    _, _, query, _ = visitor.recorded()[0]
    assert query.startswith("gclid=&utm_id=%22%3B%0D%0Aaaa")


def test_visitor_cookie_holds_referrer_until_landing_page_is_recorded() -> None:
    visitor = Arriving()
    reply = visitor.press(visitor.see(), "accept_all")
    assert SEARCH in visitor.visitor_cookie
    visitor.get("/data", [("sec-fetch-dest", "empty")])
    assert SEARCH in visitor.visitor_cookie, "a request by a script is not the landing page"
    visitor.get("/offices", [("sec-fetch-dest", "iframe")])
    visitor.request("POST", "/offices")
    assert SEARCH in visitor.visitor_cookie
    first = visitor.visitor_cookie.partition("~")[0]
    page = visitor.come_back(reply)
    assert page.get("cache-control") == "no-store"
    assert "~" not in visitor.visitor_cookie
    assert visitor.visitor_cookie.partition(".")[0] == first
    assert visitor.see().all("set-cookie") == []
    assert [record.get("http.request.referrer") for record in visitor.sink.records][-2:] == [SEARCH, SEARCH]


def test_page_a_minute_after_grant_is_not_landing_page() -> None:
    visitor = Arriving()
    visitor.press(visitor.see(), "accept_all")
    visitor.clock.forward(seconds=60)
    visitor.see("/names", f"{HERE}{LANDING}")
    assert "~" not in visitor.visitor_cookie
    assert visitor.recorded()[0] == ("view", "/names", None, f"{HERE}/offices")
    assert visitor.counted()["views"] == 2


@pytest.mark.parametrize("before", ["", f"{HERE}/names", "https://site.example", "android-app://search.example/"])
def test_landing_page_without_foreign_referrer_has_no_referrer(before: str) -> None:
    visitor = Arriving()
    landing = visitor.see(before=before)
    assert "formaction" not in landing.text
    visitor.come_back(visitor.press(landing, "accept_all"))
    assert visitor.recorded()[0] == (*LANDED[:3], None)
    assert visitor.counted()["views"] == 1


def test_refusal_neither_sends_nor_keeps_the_referrer() -> None:
    visitor = Arriving()
    landing = visitor.see()
    form = forms(landing.text)[0]
    assert form.addresses["refuse_all"] == PREFIX
    assert form.addresses["accept_all"] == form.addresses["save"] == f"{PREFIX}?referrer=https%3A%2F%2Fsearch.example"
    assert "search.example" not in form.pressed("accept_all")
    visitor.press(landing, "refuse_all")
    assert list(visitor.jar) == ["__Host-consent", "__Host-consent-saved"]
    assert "search" not in visitor.jar["__Host-consent"]
    visitor.come_back(visitor.press(landing, "save", "&purpose=media"))
    assert [name for name in visitor.jar if "visitor" in name] == [], "nor does an answer without tracing"
    assert visitor.sink.records == []


@pytest.mark.parametrize(
    ("body", "referrer"),
    [
        ("choice=accept_all&next=/offices", b"https%3A%2F%2Fsearch.example"),
        ("choice=accept_all&source=banner", b"https%3A%2F%2Fsearch.example"),
        ("choice=accept_all&source=banner&next=/offices", b"%22%3E~x" + b"a" * 4000),
    ],
    ids=["no banner", "no next page", "no origin"],
)
def test_referrer_is_kept_only_if_it_is_an_origin_and_for_banner_answer_with_next_page(
    body: str, referrer: bytes
) -> None:
    visitor = Arriving()
    visitor.send_form(body, query=b"referrer=" + referrer)
    assert "search" not in visitor.visitor_cookie
    assert len(visitor.visitor_cookie) < 100
    visitor.see(LANDING, "")
    assert visitor.recorded()[0][3] is None


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Search.Example:8443/path?q=1", "https://search.example:8443"),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]"),
        ("https://search.example#x", "https://search.example"),
        ("https://user:pass@search.example/", ""),
        ("https://search.example~.evil/", ""),
        ("https://" + "a" * 256, ""),
        ("javascript:alert(1)", ""),
        ("https://", ""),
        ("", ""),
    ],
)
def test_origin_of_referrer_is_a_short_web_origin(given: str, origin: str) -> None:
    assert origin_of(given) == origin


# With a script.


def test_page_reloaded_by_script_is_recorded_as_landing_page() -> None:
    visitor = Arriving()
    landing = visitor.see()
    address = urlsplit(forms(landing.text)[0].addresses["accept_all"])
    answer = {"choice": "accept_all", "source": "banner", "next": LANDING}
    assert visitor.post(answer, query=address.query.encode()).json["tracing_began"] is True
    visitor.see(LANDING, f"{HERE}{LANDING}")
    assert visitor.recorded() == [LANDED]
    assert visitor.counted()["views"] == 1


def test_script_sends_page_view_once_tracing_began() -> None:
    visitor = Arriving()
    visitor.see()
    assert visitor.save(media=True).json.get("tracing_began") is None
    assert visitor.accept().json["tracing_began"] is True
    assert visitor.accept().json.get("tracing_began") is None
    assert visitor.get(f"{PREFIX}/state").json.get("tracing_began") is None
    page = {"name": "page_view", "path": "/offices", "query": LANDING.partition("?")[2], "referrer": SEARCH}
    assert visitor.post({**page, "asked": True}, path=f"{PREFIX}/events").status == 204
    assert visitor.recorded() == [("event", *LANDED[1:])]
    found = visitor.counted()
    assert (found["views"], found["views_recorded"]) == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"referrer": f"{SEARCH}/path"},
        {"referrer": ""},
        {"referrer": 5},
        {"referrer": "https://" + "a" * 300},
        {"asked": 1},
    ],
)
def test_page_view_with_invalid_referrer_or_flag_is_refused(wrong: dict[str, Any]) -> None:
    visitor = Arriving()
    visitor.accept()
    assert visitor.post({"name": "page_view", "path": "/", **wrong}, path=f"{PREFIX}/events").status == 400
    assert visitor.sink.records == []
