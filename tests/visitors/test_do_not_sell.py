"""A sale or sharing of personal information has a page that refuses it, and is not asked about for 12 months."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, Policy, PolicyError
from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import State
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.policy.diff import asks_again, compare
from cookie_consent.policy.material import digests, widened
from cookie_consent.visitors.pages.evidence import explain
from tests.support.asgi import PREFIX, SITE, Clock, Reply, Visitor, call, install, page, policy, run
from tests.support.browsers.browser import forms
from tests.support.policies import KEY, NOW, answered

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
DONE = "Your personal information is not sold or shared. We will not ask you about it again for 12 months."
HTML = [("accept", "text/html")]
GPC = ("sec-gpc", "1")


def seller(**options: Any) -> Visitor:
    return Visitor(install(page(), SELLS, **{"settings_link": True, **options}), HTML)


def refuse(visitor: Visitor, **where: Any) -> Reply:
    """Press the only button of the page; return the page that the browser goes to."""
    (form,) = forms(visitor.get(PATH, **where).text)
    assert [value for _, value in form.buttons] == ["opt_out"]
    reply = visitor.send_form(form.pressed("opt_out"))
    assert reply.status == 303
    path, _, query = reply.get("location").partition("#")[0].partition("?")
    return visitor.get(path, query=query.encode())


def test_the_page_refuses_the_sale_at_once_and_leaves_the_rest_as_it_is() -> None:
    visitor = seller()
    before = visitor.get(PATH).text
    assert f"<h1>{TITLE}</h1>" in before
    assert "sells or shares personal information only for: Advertising." in unescape(before)
    assert DONE not in before
    visitor.jar["_ads"] = "1"
    after = refuse(visitor)
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


def test_what_was_granted_beside_it_stays() -> None:
    visitor = seller()
    visitor.accept()
    refuse(visitor)
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True, "ads": False}
    assert (state["status"], state["should_ask"]) == ("partial", False)
    assert "You accepted some of the purposes." in visitor.get(PREFIX).text


def test_the_page_keeps_language_and_way_back() -> None:
    visitor = seller()
    text = visitor.get(PATH, query=b"language=ja&next=/there%3Fa%3Db").text
    assert '<html lang="ja"' in text
    assert 'href="/there?a=b"' in text
    after = refuse(visitor, query=b"language=ja&next=/there%3Fa%3Db").text
    assert "12か月間は再びお尋ねしません" in after
    assert 'href="/there?a=b"' in after


def test_where_the_browser_keeps_no_cookies_the_page_says_so() -> None:
    visitor = seller()
    (form,) = forms(visitor.get(PATH).text)
    assert visitor.send_form(form.pressed("opt_out")).get("location").endswith("#pchoice")
    visitor.jar.clear()
    assert 'class="pchoice-blocked" id="pchoice"' in visitor.get(PATH).text


def test_it_is_linked_beside_the_settings_in_them_and_in_the_question() -> None:
    visitor = seller()
    link = re.compile(rf'<a href="{PATH}\?language=en[^"]*" [^>]*>{TITLE}</a>')
    assert len(link.findall(visitor.get("/").text)) == 2  # in the question, and at the end
    assert link.search(visitor.get(PREFIX).text)
    assert "This is a sale or sharing of personal information" in visitor.get(PREFIX).text
    visitor.refuse()
    assert len(link.findall(visitor.get("/").text)) == 1
    assert not link.search(seller(settings_link=False).get("/").text.partition("</form>")[2])


def test_where_nothing_is_sold_there_is_neither_page_nor_link_nor_choice() -> None:
    visitor = Visitor(install(page(), settings_link=True), HTML)
    assert visitor.get(PATH).status == 404
    for path in ("/", PREFIX):
        assert "do-not-sell" not in visitor.get(path).text
    reply = visitor.post({"choice": "opt_out"})
    assert (reply.status, reply.json["detail"]) == (400, "Nothing is sold or shared here.")
    assert visitor.state()["opted_out"] is False


def test_who_refused_is_not_asked_again_for_12_months_and_then_is() -> None:
    for choice in ("opt_out", "refuse_all"):
        clock = Clock()
        visitor = seller(clock=clock)
        assert f"Max-Age={366 * 86_400};" in visitor.post({"choice": choice}).set_cookies["__Host-consent"]
        clock.forward(days=365.9)
        assert visitor.state()["opted_out"]
        assert visitor.state()["purposes"]["ads"] is False
        question = visitor.get("/").text
        assert 'value="ads"' not in question or 'value="refuse_all"' not in question or choice == "opt_out"
        clock.forward(days=0.2)
        assert visitor.state()["status"] == "unknown"


def test_answers_hold_as_long_as_the_site_says_but_for_12_months_where_something_is_sold() -> None:
    day = 86_400
    assert f"Max-Age={400 * day};" in seller(consent_days=400).accept().set_cookies["__Host-consent"]
    assert f"Max-Age={180 * day};" in Visitor(install(page())).accept().set_cookies["__Host-consent"]
    assert f"Max-Age={30 * day};" in Visitor(install(page(), consent_days=30)).accept().set_cookies["__Host-consent"]
    with pytest.raises(ValueError, match=r"consent_days: 180 is not valid\. .* at least 366\."):
        seller(consent_days=180)


def test_a_signal_refuses_a_sale_for_good_once_anything_is_answered() -> None:
    visitor = seller()
    visitor.accept()
    visitor.get("/", [GPC])
    assert visitor.state()["overruled"] == ["ads", "media"]
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True, "ads": False}
    assert (state["opted_out"], state["should_ask"]) == (True, False)
    other = seller()
    other.post({"choice": "grant", "purposes": {"analytics": True}}, [GPC])
    assert (other.state()["opted_out"], other.state()["purposes"]["analytics"]) == (True, True)
    without = seller()
    without.post({"choice": "grant", "purposes": {"analytics": True}})
    assert not without.state()["opted_out"]


def test_global_privacy_control_is_honoured_on_the_page_and_a_later_consent_is_possible() -> None:
    visitor = seller()
    assert "Global Privacy Control honoured" in visitor.get(PATH, [GPC]).text
    refuse(visitor)
    visitor.post({"choice": "accept_all"})
    assert visitor.state()["purposes"]["ads"]
    assert forms(visitor.get(PATH).text) != []


def test_what_was_shown_is_kept_with_the_proof() -> None:
    ledger = MemoryLedger()
    visitor = seller(ledger=ledger)
    visitor.accept()
    refuse(visitor)
    record = visitor.get(f"{PREFIX}/export").json["consent_records"][-1]
    assert (record["event"], record["surface"], record["refused"]) == ("changed", "opt_out", ["ads"])
    explained = run(explain(ledger, record))
    assert explained is not None
    assert f"<h1>{TITLE}</h1>" in explained.html
    assert 'value="opt_out"' in explained.html


def test_a_template_may_place_the_link(tmp_path: Any) -> None:
    (tmp_path / "page.html").write_text("{{ privacy_opt_out_link }}")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def home(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    for text, expected in ((SELLS, f'<a href="{PATH}?language=en&amp;next=/">{TITLE}</a>'), (SITE, "")):
        app = Starlette(routes=[Route("/", home)])
        app.add_middleware(ConsentMiddleware, policy=policy(text), secret_keys=KEY, inject=False)
        assert call(app, headers=HTML).text == expected


# The policy.


def test_that_a_purpose_sells_is_a_material_fact_and_asks_who_accepted_again() -> None:
    new = policy(SELLS)
    old = policy(SELLS.replace("sells = true\n", ""))
    assert digests(old)["ads"] != digests(new)["ads"]
    assert digests(old)["media"] == digests(new)["media"]
    assert widened(old, new) == {"ads"}
    assert widened(new, old) == frozenset()
    assert asks_again(old, new) == {"ads": "who accepted"}
    ((begun,), (ended,)) = (compare(old, new), compare(new, old))
    assert (begun.what, begun.purposes, begun.material) == (
        'purpose "ads": sells not set -> true',
        ("ads",),
        True,
    )
    assert (ended.what, ended.material) == ('purpose "ads": sells true -> not set', False)
    accepted = answered(old, {"ads": State.GRANTED, "media": State.GRANTED})
    held = decide(replace(new, history=(old,)), accepted, frozenset(), NOW)
    assert (held.should_ask, held.purposes["ads"], held.purposes["media"]) == (True, False, True)


def test_a_policy_that_says_nothing_of_it_keeps_its_version_and_is_read_back() -> None:
    assert "sells" not in str(policy().document())
    document = policy(SELLS).document()
    assert [purpose["sells"] for purpose in document["purposes"] if "sells" in purpose] == [True]
    assert Policy.from_document(document).sells == ("ads",)
    assert Policy.from_document(document).version == policy(SELLS).version


def test_the_signal_refuses_a_sale_without_recipients() -> None:
    assert policy(SELLS).gpc_refuses == {"ads", "media"}
    assert policy(f'{SELLS}\n[signals]\ngpc = ["ads"]\n').gpc_refuses == {"ads"}


@pytest.mark.parametrize("signals", ['"ignore"', '["media"]', "[]"])
def test_a_policy_that_does_not_heed_the_signal_for_a_sale_does_not_load(signals: str) -> None:
    with pytest.raises(PolicyError, match='Sec-GPC has to refuse "ads"'):
        policy(f"{SELLS}\n[signals]\ngpc = {signals}\n")


def test_what_runs_without_consent_cannot_be_a_sale() -> None:
    for more in ('exempt = "cnil_audience"\nretention = "30 days"\ntraces = true\n', ""):
        text = SELLS.replace("sells = true\n", f"sells = true\n{more}")
        if not more:
            text = text.replace("[purposes.ads]", "[purposes.necessary]").replace(
                'purpose = "ads"', 'purpose = "media"'
            )
        with pytest.raises(PolicyError, match="a sale or sharing is never without consent"):
            policy(text)
