"""Tests of "Decide later": the question waits, and nothing is answered."""

from __future__ import annotations

import http.cookiejar
import json
import re
import time
from typing import Any

import httpx
import pytest

from cookie_consent.ledgers import Ledger, MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PREFIX,
    SITE,
    SITE_TABLE,
    Clock,
    Fields,
    Visitor,
    install,
    page_app,
    policy,
    reply_app,
    run,
)
from tests.support.policies import text_of

LATER = {"choice": "later"}
SESSION, DAY = "__Host-consent-later", "__Host-consent-later-day"
QUESTION = 'class="pchoice '
GPC: Fields = [("sec-gpc", "1")]
SELLS = SITE.replace("[purposes.media]", "[purposes.media]\nsells = true")


def asks(visitor: Visitor, path: str = "/", headers: Fields = ()) -> bool:
    """Return whether a page asks. The state has to say the same."""
    is_asked = QUESTION in visitor.get(path, headers).text
    assert visitor.state(headers)["should_ask"] is is_asked
    return bool(is_asked)


def records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(link.document or "{}") for link in ledger.links()]


# What is set.


@pytest.mark.parametrize(("scheme", "host", "secure"), [("https", "__Host-", "; Secure"), ("http", "", "")])
@pytest.mark.parametrize("sends", ["form", "json"])
def test_later_sets_a_cookie_for_the_session_and_one_for_a_day(scheme: str, host: str, secure: str, sends: str) -> None:
    visitor = Visitor(install(page_app()), scheme=scheme)
    reply = visitor.send_form("choice=later&next=/there") if sends == "form" else visitor.post(LATER)
    assert reply.set_cookies == {
        f"{host}consent-later": f"{host}consent-later=1; Path=/; HttpOnly; SameSite=Lax{secure}",
        f"{host}consent-later-day": f"{host}consent-later-day=1; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax{secure}",
    }
    if sends == "form":
        assert (reply.status, reply.get("location")) == (303, "/there")
        # Else the back button would bring back the page that asks.
        assert reply.get("clear-site-data") == '"cache"'
    else:
        assert (reply.status, reply.get("clear-site-data")) == (200, "")
        assert reply.json == visitor.state()


def test_later_follows_the_prefix_of_cookies() -> None:
    visitor = Visitor(install(page_app(), cookie_prefix="shop-"))
    visitor.post(LATER)
    assert visitor.jar == {"__Host-shop-consent-later": "1", "__Host-shop-consent-later-day": "1"}
    assert not asks(visitor)


# What holds afterwards.


@pytest.mark.parametrize("kept", [(SESSION, DAY), (SESSION,), (DAY,)])
def test_question_waits_while_either_cookie_is_there(kept: tuple[str, ...]) -> None:
    visitor = Visitor(install(page_app()))
    assert asks(visitor)
    visitor.post(LATER)
    visitor.jar = {name: visitor.jar[name] for name in kept}
    assert not asks(visitor)
    visitor.jar = {}
    assert asks(visitor)


def test_later_is_no_answer() -> None:
    visitor = Visitor(install(page_app(), settings_link=True))
    before, settings = visitor.state(), visitor.get(PREFIX).text
    visitor.send_form("choice=later&purpose=media")
    assert visitor.state() == {**before, "should_ask": False}
    assert before["status"] == "unknown"
    assert without_ids(visitor.get(PREFIX).text) == without_ids(settings)
    page = visitor.get()
    assert "data-privacy-settings" in page.text
    assert "Cookie" in page.get("vary")
    assert page.get("cache-control") == "private"


def without_ids(html: str) -> str:
    return re.sub(r'name="once" value="[^"]*"', "", html)


def test_later_leaves_no_trace(ledger: Ledger) -> None:
    sink = MemorySink()
    visitor = Visitor(install(page_app(), ledger=ledger, access_log=sink))
    visitor.get()
    visitor.post(LATER)
    visitor.get()
    assert (records(ledger), sink.records) == ([], [])


def test_app_sees_that_it_should_not_ask_and_gets_no_held_cookie() -> None:
    seen: list[list[str]] = []
    visitor = Visitor(install(reply_app(seen=seen)))
    visitor.post(LATER)
    visitor.get()
    assert seen == [[f"{SESSION}=1; {DAY}=1"]]


def test_visitor_may_choose_later_again() -> None:
    visitor = Visitor(install(page_app()))
    visitor.post(LATER)
    del visitor.jar[DAY]
    visitor.post(LATER)
    assert visitor.jar == {SESSION: "1", DAY: "1"}


@pytest.mark.parametrize("value", ["x", "", "11", "1" * 5000, '"1"', "true"])
def test_value_that_was_not_set_postpones_nothing(value: str) -> None:
    visitor = Visitor(install(page_app()))
    visitor.jar = {SESSION: value, DAY: value}
    assert asks(visitor)
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": False}


def test_repeated_cookies_postpone_if_one_is_right() -> None:
    visitor = Visitor(install(page_app()), [("cookie", f"{DAY}=x; {DAY}=1; {DAY}=y")])
    assert not asks(visitor)


@pytest.mark.parametrize("name", [f"{SESSION}x", f"x{SESSION}", "consent-later", "__Host-visitor-later"])
def test_similar_names_postpone_nothing(name: str) -> None:
    visitor = Visitor(install(page_app()))
    visitor.jar = {name: "1"}
    assert asks(visitor)


def test_postponed_and_asked_visitors_share_no_decision() -> None:
    """The same names of cookies, the same number of them: only the value differs."""
    site = install(page_app())
    for value, is_asked in [("x", True), ("1", False), ("y", True), ("1", False)]:
        assert (QUESTION in Visitor(site, [("cookie", f"{DAY}={value}")]).get().text) is is_asked


def test_forged_cookie_grants_nothing_after_an_answer() -> None:
    visitor = Visitor(install(page_app()))
    visitor.refuse()
    before = visitor.state()
    visitor.jar[SESSION] = "1"
    assert visitor.state() == before


# An answer ends it.


@pytest.mark.parametrize(
    "answer", [{"choice": "accept_all"}, {"choice": "refuse_all"}, {"choice": "save", "purposes": {"media": True}}]
)
def test_answer_deletes_the_cookies(answer: dict[str, Any]) -> None:
    visitor = Visitor(install(page_app()))
    visitor.post(LATER)
    reply = visitor.post(answer)
    for name in (SESSION, DAY):
        assert "Max-Age=0" in reply.set_cookies[name]
        assert "Secure" in reply.set_cookies[name]
    assert list(visitor.jar) == ["__Host-consent"]


def test_answer_deletes_only_cookies_that_came() -> None:
    visitor = Visitor(install(page_app()))
    assert DAY not in visitor.refuse().set_cookies
    visitor.jar = {DAY: "1"}
    deleted = visitor.refuse().set_cookies
    assert DAY in deleted
    assert SESSION not in deleted


def test_allowing_one_feature_leaves_the_rest_for_later() -> None:
    visitor = Visitor(install(page_app()))
    visitor.post(LATER)
    reply = visitor.post({"choice": "grant", "purposes": {"media": True}})
    assert reply.json["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert reply.json["should_ask"] is False
    assert not asks(visitor)
    visitor.accept()
    assert list(visitor.jar) == ["__Host-consent"]


def test_erasure_deletes_the_cookies() -> None:
    visitor = Visitor(install(page_app()))
    visitor.post(LATER)
    visitor.send_form("", path=f"{PREFIX}/erase")
    assert visitor.jar == {}


# Other circumstances.


def test_question_about_a_changed_policy_waits_too() -> None:
    clock = Clock()
    visitor = Visitor(install(page_app(), clock=clock))
    visitor.accept()
    changed = SITE.replace('retention = "30 days"', 'retention = "90 days"')
    visitor.app = install(page_app(), changed, clock=clock)
    before = visitor.state()
    assert (before["status"], before["should_ask"]) == ("granted", True)
    visitor.post(LATER)
    assert visitor.state() == {**before, "should_ask": False}
    assert QUESTION not in visitor.get().text
    # The settings still say why it is off.
    assert text_of(policy(changed), "en", "banner_changed") in visitor.get(PREFIX).text


def test_later_counts_whatever_policy_was_shown() -> None:
    visitor = Visitor(install(page_app()))
    reply = visitor.send_form("choice=later&policy=an-older-one&purpose=gone&service=gone&next=/")
    assert reply.status == 303
    assert not asks(visitor)


def test_later_outlasts_a_change_of_the_policy() -> None:
    visitor = Visitor(install(page_app()))
    visitor.post(LATER)
    visitor.app = install(page_app(), SITE.replace("We show maps.", "We show maps and videos."))
    assert not asks(visitor)


def test_later_sets_nothing_if_nothing_is_to_be_decided() -> None:
    visitor = Visitor(install(page_app()))
    visitor.refuse()
    reply = visitor.post(LATER)
    assert (reply.status, reply.set_cookies) == (200, {})
    assert reply.json == visitor.state()


def test_visitor_with_a_signal_decides_later_about_the_rest() -> None:
    visitor = Visitor(install(page_app(), SELLS), GPC)
    assert asks(visitor)
    visitor.post(LATER)
    assert not asks(visitor)
    state = visitor.state()
    assert (state["status"], state["signals"], state["honours_gpc"]) == ("unknown", ["gpc"], True)


def test_signal_that_answers_everything_leaves_nothing_to_postpone() -> None:
    visitor = Visitor(install(page_app(), SITE + '\n[signals]\ngpc = ["analytics", "media"]\n'), GPC)
    assert not asks(visitor)
    assert visitor.post(LATER).set_cookies == {}


def test_refused_sale_ends_only_its_own_question() -> None:
    visitor = Visitor(install(page_app(), SELLS))
    visitor.post(LATER)
    before = visitor.get(f"{PREFIX}/do-not-sell").text
    assert 'value="opt_out"' in before
    visitor.post({"choice": "opt_out"})
    assert visitor.state()["opted_out"] is True
    assert not asks(visitor)


@pytest.mark.parametrize(
    ("headers", "status"), [([("sec-fetch-site", "cross-site")], 403), ([("user-agent", "Googlebot/2.1")], 403)]
)
def test_later_is_taken_from_people_on_the_site_only(headers: Fields, status: int) -> None:
    site = install(page_app())
    reply = Visitor(site).request(
        "POST", PREFIX, [("content-type", "application/json"), *headers], b'{"choice":"later"}'
    )
    assert (reply.status, reply.set_cookies) == (status, {})


def test_later_needs_no_ledger() -> None:
    class Broken(MemoryLedger):
        async def append(self, entry: Any) -> Any:
            raise OSError

    assert Visitor(install(page_app(), ledger=Broken())).post(LATER).status == 200


# A browser keeps the cookies as long as it should.


def test_question_returns_in_another_session_after_a_day() -> None:
    async def visit() -> list[bool]:
        transport = httpx.ASGITransport(install(page_app()))
        found = []
        async with httpx.AsyncClient(transport=transport, base_url="https://site.example") as client:
            jar = client.cookies.jar

            async def asked() -> None:
                found.append(QUESTION in (await client.get("/")).text)

            await asked()
            own = {"sec-fetch-site": "same-origin"}
            assert (await client.post(PREFIX, data=LATER, headers=own)).status_code == 303
            await asked()
            jar.clear_session_cookies()
            await asked()
            age_by(jar, 86_399 - 60)
            await asked()
            age_by(jar, 61)
            await asked()
        return found

    assert run(visit()) == [True, False, False, False, True]


def test_question_waits_as_long_as_the_session_lasts() -> None:
    """Phones restore sessions for months."""

    async def visit() -> bool:
        transport = httpx.ASGITransport(install(page_app()))
        async with httpx.AsyncClient(transport=transport, base_url="https://site.example") as client:
            await client.post(PREFIX, data=LATER, headers={"sec-fetch-site": "same-origin"})
            age_by(client.cookies.jar, 100 * 86_400)
            return QUESTION in (await client.get("/")).text

    assert not run(visit())


def age_by(jar: http.cookiejar.CookieJar, seconds: int) -> None:
    """Let time pass for the cookies of a jar."""
    for cookie in [*jar]:
        if cookie.expires is not None:
            cookie.expires -= seconds
            if cookie.is_expired(time.time()):
                jar.clear(cookie.domain, cookie.path, cookie.name)


# later="refuse".


@pytest.mark.parametrize("sends", ["form", "json"])
def test_later_refuses_if_the_site_says_so(sends: str, ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(page_app(), later="refuse", ledger=ledger, clock=clock))
    assert asks(visitor)
    reply = visitor.send_form("choice=later&source=banner") if sends == "form" else visitor.post(LATER)
    assert reply.status == (303 if sends == "form" else 200)
    assert [*visitor.jar.keys() - {"__Host-consent-saved"}] == ["__Host-consent"]
    assert visitor.state()["status"] == "refused"
    (record,) = records(ledger)
    assert (record["event"], record["refused"], record["granted"]) == ("refused", ["analytics", "media"], [])
    clock.forward(days=183)
    assert not asks(visitor)
    clock.forward(days=1)
    assert asks(visitor)


def test_refusal_by_later_is_about_the_text_that_was_shown() -> None:
    visitor = Visitor(install(page_app(), later="refuse"))
    assert visitor.post({**LATER, "policy": "an-older-one"}).status == 409


@pytest.mark.parametrize(("later", "name"), [("ask", "later"), ("refuse", "later_refuses")])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_button_says_what_it_does(later: str, name: str, language: str) -> None:
    page = Visitor(install(page_app(), later=later, language=lambda request: language)).get().text
    (button,) = re.findall(r'<button [^>]*value="later"[^>]*>([^<]*)</button>', page)
    assert button == text_of(policy(), language, name)


@pytest.mark.parametrize("later", ["", "never", "Refuse", None, True])
def test_other_value_of_the_option_stops_the_start(later: Any) -> None:
    with pytest.raises(ValueError, match=r'later: .* Write "ask" or "refuse"\.'):
        install(later=later)


# What visitors read.


def test_settings_list_both_cookies_and_what_they_are_for() -> None:
    about = text_of(policy(), "en", "cookie_later").replace("{later}", text_of(policy(), "en", "later"))
    page = Visitor(install()).get(PREFIX).text
    assert f"<code>{SESSION}</code><br>{about}" in page
    assert f"<code>{DAY}</code><br>{about}" in page
    assert SESSION not in Visitor(install(later="refuse")).get(PREFIX).text


def test_enter_in_a_tick_box_does_not_press_later() -> None:
    """It presses the first button of the form that sends it (HTML, "implicit submission")."""
    page = Visitor(install(page_app())).get().text
    assert re.findall(r'name="choice" value="(\w+)"', page)[0] == "save"
    assert 'name="choice" value="later"' in page


def test_reopened_question_offers_to_close_not_to_decide_later() -> None:
    question = Visitor(install(page_app())).get(f"{PREFIX}/question", query=b"again").text
    assert '<button type="button" class="pchoice-later">' in question
    assert 'value="later"' not in question


@pytest.mark.parametrize(("scheme", "prefix"), [("https", "__Secure-"), ("http", "")])
def test_question_waits_on_each_host_that_shares_an_answer(scheme: str, prefix: str) -> None:
    shared = SITE_TABLE + 'domain = "site.example"\nhosts = ["site.example", "www.site.example"]\n'
    visitor = Visitor(install(page_app(), SITE.replace(SITE_TABLE, shared)), scheme=scheme)
    reply = visitor.post(LATER)
    assert list(visitor.jar) == [f"{prefix}consent-later", f"{prefix}consent-later-day"]
    assert all("Domain=site.example" in line for line in reply.set_cookies.values())
    assert QUESTION not in visitor.get(host="www.site.example").text
    assert QUESTION in visitor.get(host="other.site.example").text or scheme == "http"
    deleted = visitor.refuse().set_cookies
    assert all("Domain=site.example" in deleted[f"{prefix}consent-{name}"] for name in ("later", "later-day"))


def test_later_still_waits_after_grant_on_service_page() -> None:
    research = '[purposes.research]\ntitle = { en = "R", ja = "R" }\ndescription = { en = "R.", ja = "R." }\n'
    visitor = Visitor(install(text=SITE.replace("[purposes.media]", f"{research}\n[purposes.media]")))
    visitor.post(LATER)
    reply = visitor.post({"choice": "grant", "purposes": {"media": True}, "service": "whois"})
    assert reply.json["purposes"]["media"] is True
    assert reply.json["should_ask"] is False
