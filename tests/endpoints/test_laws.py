"""Tests of what visitors get under the law of their place: asked or not, traced or not, and what pages say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.ledgers import MemoryLedger
from tests.endpoints.test_do_not_sell import SELLS
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Clock, Visitor, call, install, page_app, reply_app

LAWS = 'laws = ["eu", "us-optout", "jp-optout", "fr"]\n'
COUNTRY = "X-Country"
USE = 'country = "US"\nuse = { en = "Improves maps", ja = "地図の改善等" }\n'
DATA = 'data = { en = "Address", ja = "アドレス" }\n'


def with_laws(text: str = SITE, lines: str = LAWS) -> str:
    """Return the text of a policy that names laws, and says what each of them asks for."""
    named = text.replace("\n[purposes.analytics]", f"\n{lines}\n[purposes.analytics]", 1)
    told = re.sub(r"(?m)^(\[purposes\..*\]\n)", rf"\1{DATA}", named)
    return told.replace('purpose = "media"\norigins', f'purpose = "media"\n{USE}origins', 1)


def site(text: str = SITE, lines: str = LAWS, **options: Any) -> ConsentMiddleware:
    by_country = {"country": COUNTRY} if "optout" in lines else {}
    return install(page_app(), with_laws(text, lines), **{"settings_link": True, **by_country, **options})


def visitor_in(country: str, app: ConsentMiddleware, *headers: tuple[str, str]) -> Visitor:
    return Visitor(app, [("user-agent", PHONE), ("accept", "text/html"), (COUNTRY, country), *headers])


def moved(visitor: Visitor, country: str) -> Visitor:
    """Return the same browser in another country."""
    other = Visitor(
        visitor.app, [(COUNTRY, country) if name == COUNTRY else (name, value) for name, value in visitor.headers]
    )
    other.jar = visitor.jar
    return other


@pytest.mark.requirement("US-01", "JP-01")
@pytest.mark.parametrize(
    ("country", "lines", "law", "runs"),
    [
        ("DE", LAWS, "eu", False),
        ("US", LAWS, "us-optout", True),
        # A law of opting in needs no country, and asks where no law is known.
        ("US", 'laws = ["eu"]\n', "eu", False),
        ("", 'laws = ["jp"]\n', "jp", False),
        ("BR", 'laws = ["us-optout"]\n', None, False),
    ],
)
def test_law_of_the_place_says_whether_visitors_are_asked_or_purposes_run_until_refused(
    country: str, lines: str, law: str | None, runs: bool
) -> None:
    visitor = visitor_in(country, site(lines=lines))
    html = visitor.get().text
    assert ("pchoice-question" in html) is not runs
    assert ">Privacy settings</a>" in html
    state = visitor.state()
    assert (state.get("law"), state["should_ask"], state["status"]) == (law, not runs, "unknown")
    assert state["purposes"] == {"necessary": True, "analytics": runs, "media": runs}
    visitor.refuse()
    assert not any(visitor.state()["purposes"][purpose] for purpose in ("analytics", "media"))
    assert "Privacy settings: refused" in visitor.get().text


def test_lost_answer_is_called_a_refusal_only_where_the_law_is_one_of_opting_in() -> None:
    for country, is_refusal in (("DE", True), ("US", False)):
        for path in (PREFIX, f"{PREFIX}/question?again"):
            address, _, query = path.partition("?")
            html = visitor_in(country, site()).get(address, query=query.encode()).text
            assert ("That counts as a refusal" in html) is is_refusal
            assert ("each page asks again" in html) is is_refusal
            assert "Your choice could not be saved" in html or is_refusal


def test_pages_offer_to_opt_out_of_a_sale() -> None:
    visitor = visitor_in("US", site(SELLS))
    assert "Do Not Sell or Share My Personal Information" in visitor.get().text
    visitor.post({"choice": "opt_out"})
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": True, "media": True, "ads": False}
    there = moved(visitor, "DE").state()
    assert there["purposes"] == {"necessary": True, "analytics": False, "media": False, "ads": False}
    assert there["should_ask"]


def test_box_that_was_ticked_already_grants_nothing() -> None:
    """A visitor under a law of opting out refuses one purpose, leaves the other ticked, and moves."""
    visitor = visitor_in("US", site())
    visitor.save(media=True)
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert state["status"] == "partial"
    there = moved(visitor, "DE").state()
    assert there["purposes"] == {"necessary": True, "analytics": False, "media": False}
    assert there["should_ask"]


def test_box_that_is_ticked_again_is_a_grant() -> None:
    visitor = visitor_in("US", site())
    visitor.refuse()
    visitor.save(media=True)
    assert moved(visitor, "DE").state()["purposes"]["media"]
    visitor.accept()
    assert moved(visitor, "DE").state()["status"] == "granted"


def test_boxes_left_as_they_were_answer_nothing() -> None:
    visitor = visitor_in("US", site(ledger=MemoryLedger()))
    reply = visitor.save(analytics=True, media=True)
    assert (reply.status, reply.json["status"], reply.set_cookies) == (200, "unknown", {})
    assert visitor.get(f"{PREFIX}/export").json["consent_records"] == []


@pytest.mark.requirement("CA-05")
def test_response_varies_on_the_country() -> None:
    visitor = visitor_in("US", site())
    assert visitor.get().get("vary") == "Cookie, Sec-GPC, DNT, X-Country, Accept-Language, Sec-Fetch-Dest"
    app = install(reply_app(reads=["media"]), with_laws(), country=COUNTRY)
    assert call(app, headers=[(COUNTRY, "US")]).get("vary") == "Cookie, Sec-GPC, DNT, X-Country"


def test_country_can_come_from_a_function() -> None:
    app = site(country=lambda request: request.query_params.get("in"))
    assert call(app, query=b"in=US", headers=[("accept", "text/html")]).text.count("pchoice-question") == 0
    assert call(app, query=b"in=DE", headers=[("accept", "text/html")]).text.count("pchoice-question") == 1


def test_settings_say_what_holds_without_an_answer() -> None:
    html = visitor_in("US", site()).get(PREFIX).text
    assert "You have not answered yet. What you do not refuse is used." in html
    assert "You can say no to all but the strictly necessary at any time." in html
    assert "before you say yes" not in html
    assert "Your consent</dd>" not in html
    assert html.count(" checked>") == 2
    opened = visitor_in("US", site()).get(f"{PREFIX}/question", query=b"again=1").text
    assert "You have not answered yet. What you do not refuse is used." in opened
    assert "Your consent</dd>" in visitor_in("DE", site()).get(PREFIX).text


def test_record_names_the_law_only_if_the_policy_does() -> None:
    for lines, law in ((LAWS, "us-optout"), ('laws = ["de"]\n', "de"), ("", None)):
        visitor = visitor_in("US", site(lines=lines, ledger=MemoryLedger(), clock=Clock(NOW)))
        visitor.accept()
        (record,) = visitor.get(f"{PREFIX}/export").json["consent_records"]
        assert record.get("law") == law
        receipt = visitor.get(f"{PREFIX}/receipt").json
        assert receipt["jurisdiction"] == law


# What is sent to whom.

TRANSMISSION = f"{PREFIX}/transmission"


@pytest.mark.requirement("JP-02")
@pytest.mark.parametrize("lines", [LAWS, 'laws = ["jp"]\n'])
def test_page_tells_what_is_sent_to_whom(lines: str) -> None:
    visitor = visitor_in("JP", site(SITE, lines))
    html = visitor.get(TRANSMISSION, query=b"language=ja").text
    for said in (
        "第三者への情報の送信",
        "Maps Inc.",
        "IPアドレス",
        "地図と動画: 地図を表示します。",
        "地図の改善等",
        "アメリカ合衆国",
    ):
        assert said in html
    assert '<html lang="ja"' in html
    assert f'href="{TRANSMISSION}?language=en"' in html
    assert f'href="{TRANSMISSION}?language=en"' in visitor.get(PREFIX).text


@pytest.mark.requirement("JP-04")
def test_pages_link_to_what_is_sent_where_the_law_asks() -> None:
    app = site()
    assert f'href="{TRANSMISSION}?language=en&amp;next=' in visitor_in("JP", app).get().text
    assert TRANSMISSION not in visitor_in("DE", app).get().text
    assert visitor_in("DE", app).get(TRANSMISSION).status == 200


def test_site_whose_laws_do_not_ask_has_no_such_page() -> None:
    visitor = visitor_in("JP", site(lines='laws = ["eu"]\n'))
    assert visitor.get(TRANSMISSION).status == 404
    assert TRANSMISSION not in visitor.get(PREFIX).text
