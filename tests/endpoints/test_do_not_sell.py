"""Tests of purposes that sell: the opt-out page, its links, Global Privacy Control and the policy."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tests.support.asgi import PREFIX, SITE, Clock, Reply, Visitor, install, page_app
from tests.support.browsers.browser import forms

SELLS = SITE.replace(
    '[[cookies]]\nname = "session"',
    """[purposes.ads]
title = { en = "Advertising", ja = "広告" }
description = { en = "We sell what you look at.", ja = "閲覧履歴を販売します。" }
sells = true

[[cookies]]
name = "_ads"
purpose = "ads"
duration = "30 days"

[[cookies]]
name = "session\"""",
    1,
)
PATH = f"{PREFIX}/do-not-sell"
TITLE = "Do Not Sell or Share My Personal Information"
DONE = "Your personal information is not sold or shared."
HTML = [("accept", "text/html")]
GPC = ("sec-gpc", "1")


def visitor_of_seller(**options: Any) -> Visitor:
    return Visitor(install(page_app(), SELLS, **{"settings_link": True, **options}), HTML)


def opt_out(visitor: Visitor, **where: Any) -> Reply:
    """Press the only button of the opt-out page; return the page that the browser is redirected to."""
    (form,) = forms(visitor.get(PATH, **where).text)
    assert [value for _, value in form.buttons] == ["opt_out"]
    reply = visitor.send_form(form.pressed("opt_out"))
    assert reply.status == 303
    path, _, query = reply.get("location").partition("#")[0].partition("?")
    return visitor.get(path, query=query.encode())


def test_opt_out_page_refuses_sale_and_leaves_other_purposes_unanswered() -> None:
    visitor = visitor_of_seller()
    before = visitor.get(PATH).text
    assert f"<h1>{TITLE}</h1>" in before
    assert "sells or shares personal information only for: Advertising." in unescape(before)
    assert DONE not in before
    visitor.jar["_ads"] = "1"
    after = opt_out(visitor)
    assert DONE in after.text
    assert forms(after.text) == []
    assert "_ads" not in visitor.jar
    state = visitor.state()
    assert (state["status"], state["should_ask"], state["opted_out"]) == ("partial", True, True)
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": False, "ads": False}
    settings = visitor.get(PREFIX).text
    assert "You refused some of the purposes, and have not answered for the others." in settings
    question = visitor.get(f"{PREFIX}/question", query=b"again").text
    assert "You refused some of the purposes, and have not answered for the others." in question


@pytest.mark.requirement("US-01")
def test_opt_out_page_is_linked_from_pages_and_settings() -> None:
    visitor = visitor_of_seller()
    link = re.compile(rf'<a href="{PATH}\?language=en[^"]*" [^>]*>{TITLE}</a>')
    assert len(link.findall(visitor.get("/").text)) == 1  # beside the settings link: in the question, it is to refuse
    assert link.search(visitor.get(PREFIX).text)
    assert "This is a sale or sharing of personal information" in visitor.get(PREFIX).text
    visitor.refuse()
    assert len(link.findall(visitor.get("/").text)) == 1
    assert not link.search(visitor_of_seller(settings_link=False).get("/").text.partition("</form>")[2])


def test_site_without_sale_has_no_opt_out_page_link_or_choice() -> None:
    visitor = Visitor(install(page_app(), settings_link=True), HTML)
    assert visitor.get(PATH).status == 404
    for path in ("/", PREFIX):
        assert "do-not-sell" not in visitor.get(path).text
    reply = visitor.post({"choice": "opt_out"})
    assert (reply.status, reply.json["detail"]) == (400, "Nothing is sold or shared here.")
    assert visitor.state()["opted_out"] is False


@pytest.mark.requirement("US-05")
def test_refused_sale_is_asked_again_only_after_12_months() -> None:
    for choice in ("opt_out", "refuse_all"):
        clock = Clock()
        visitor = visitor_of_seller(clock=clock)
        assert f"Max-Age={366 * 86_400};" in visitor.post({"choice": choice}).set_cookies["__Host-consent"]
        clock.forward(days=365.9)
        assert visitor.state()["opted_out"]
        assert visitor.state()["purposes"]["ads"] is False
        assert ('value="refuse_all"' in visitor.get("/").text) is (choice == "opt_out")
        clock.forward(days=0.2)
        assert visitor.state()["status"] == "unknown"


def test_opt_out_page_says_until_when_the_answer_holds() -> None:
    clock = Clock()
    visitor = visitor_of_seller(clock=clock)
    visitor.post({"choice": "opt_out"})
    clock.forward(days=330)
    text = unescape(re.sub("<.*?>", "", visitor.get(PATH).text))
    assert "Answered on June 15, 2025; valid until June 16, 2026." in text
    assert "12 months" not in text


def test_site_with_sale_needs_consent_lifetime_of_12_months() -> None:
    day = 86_400
    assert f"Max-Age={400 * day};" in visitor_of_seller(consent_days=400).accept().set_cookies["__Host-consent"]
    assert f"Max-Age={184 * day};" in Visitor(install(page_app())).accept().set_cookies["__Host-consent"]
    assert (
        f"Max-Age={30 * day};" in Visitor(install(page_app(), consent_days=30)).accept().set_cookies["__Host-consent"]
    )
    with pytest.raises(ValueError, match=r"consent_days: 180 is not valid\. .* at least 366\."):
        visitor_of_seller(consent_days=180)


def test_gpc_before_or_with_answer_opts_out_of_sale() -> None:
    visitor = visitor_of_seller()
    visitor.accept()
    visitor.get("/", [GPC])
    assert visitor.state()["overruled"] == ["ads", "media"]
    visitor.post({"choice": "grant", "purposes": {"analytics": True}})
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": False, "ads": False}
    assert (state["opted_out"], state["asked"]) == (True, ["media"])
    other = visitor_of_seller()
    other.post({"choice": "grant", "purposes": {"analytics": True}}, [GPC])
    assert (other.state()["opted_out"], other.state()["purposes"]["analytics"]) == (True, True)
    without = visitor_of_seller()
    without.post({"choice": "grant", "purposes": {"analytics": True}})
    assert not without.state()["opted_out"]


def test_opt_out_page_mentions_gpc_and_allows_later_consent() -> None:
    visitor = visitor_of_seller()
    by_signal = visitor.get(PATH, [GPC]).text
    assert "Global Privacy Control honoured" in by_signal
    assert DONE in by_signal
    assert forms(by_signal) == []
    opt_out(visitor)
    visitor.post({"choice": "accept_all"})
    assert visitor.state()["purposes"]["ads"]
    assert forms(visitor.get(PATH).text) != []


def test_opt_out_counts_on_the_page_of_a_service_that_does_not_sell() -> None:
    visitor = Visitor(install(text=f"{SELLS}\n[services.whois.purposes.ads]\nrefused = true\n"))
    visitor.post({"choice": "opt_out", "service": "whois"})
    assert visitor.state()["opted_out"]
