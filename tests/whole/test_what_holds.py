"""All combinations of answer, signals, sale and law: no sentence contradicts another, the state, or the server."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from itertools import product
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from tests.support.asgi import PREFIX, Reply, Visitor, install, page_app
from tests.support.browsers.browser import forms

GPC, DNT = ("sec-gpc", "1"), ("dnt", "1")
Signals = list[tuple[str, str]]
SIGNALS: list[Signals] = [[], [GPC], [DNT], [GPC, DNT]]
LAWS = {"opt-in": "DE", "opt-out": "US", "none": "BR"}
TITLES = {"analytics": "Statistics", "media": "Maps", "ads": "Advertising"}
COOKIES = {"analytics": "_stat", "media": "player", "ads": "_ads"}
REFUSED_BY = {"gpc": {"media", "ads"}, "dnt": {"analytics"}}
TABLE = """
[site]
name = "Shop"
controller = "Shop Ltd."
contact = "privacy@shop.example"
prevailing_language = "en"
languages = ["en"]
{laws}
"""
PURPOSE = """
[purposes.{id}]
title = {{ en = "{title}" }}
description = {{ en = "What it is for." }}
data = {{ en = "Pages" }}
{more}

[[cookies]]
name = "{cookie}"
purpose = "{id}"
duration = "30 days"
"""
MAPS = """
[[recipients]]
id = "maps"
name = "Maps Inc."
purpose = "media"
receives = { en = "IP address" }
country = "US"
use = { en = "Improves maps" }

[features.map]
title = { en = "Map of offices" }
purposes = ["media"]
fallback = { en = "No map." }
"""
MORE = {"analytics": 'retention = "30 days"\ntraces = true', "media": "", "ads": "sells = true"}
"""What else a purpose says."""


WIDER = """
[[cookies]]
name = "seen"
purpose = "media"
duration = "1 hour"
"""


def site(regime: str, sale: str, more: str = "") -> ConsentMiddleware:
    """Return a site whose pages set the cookie of each purpose."""
    laws = "" if regime == "none" else 'laws = ["eu", "us-optout"]'
    ids = [id_ for id_ in TITLES if sale == "sale" or id_ != "ads"]
    parts = [PURPOSE.format(id=id_, title=TITLES[id_], cookie=COOKIES[id_], more=MORE[id_]) for id_ in ids]
    app = page_app(sets=[f"{COOKIES[id_]}=1" for id_ in ids])
    text = TABLE.format(laws=laws) + "".join(parts) + MAPS + more
    return install(app, text, settings_link=True, country="X-Country" if laws else None)


ANSWERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "accepts all": {"choice": "accept_all"},
    "refuses all": {"choice": "refuse_all"},
    "saves statistics": {"choice": "save", "purposes": {"analytics": True}},
    "saves maps": {"choice": "save", "purposes": {"media": True}},
    "saves statistics and maps": {"choice": "save", "purposes": {"analytics": True, "media": True}},
    "saves everything": {"choice": "save", "purposes": dict.fromkeys(TITLES, True)},
    "allows maps on a card": {"choice": "grant", "purposes": {"media": True}, "source": "feature"},
    "refuses the sale": {"choice": "opt_out"},
}


def give_answer(visitor: Visitor, name: str, signals: Signals) -> None:
    """Answer, with what the site knows of the purposes."""
    body = dict(ANSWERS[name])
    if "purposes" in body:
        body["purposes"] = {id_: True for id_ in body["purposes"] if id_ in visitor.state()["purposes"]}
    if body:
        visitor.post(body, signals)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", html)))


def ticked(html: str) -> tuple[set[str], set[str]]:
    """Return the purposes that have a box, and those whose box is ticked."""
    boxes = re.findall(r'<input type="checkbox" name="purpose" value="(\w+)"([^>]*)>', html)
    return {id_ for id_, _ in boxes}, {id_ for id_, rest in boxes if "checked" in rest}


def named(text: str, sentence: str) -> set[str]:
    """Return the purposes that a sentence names in its brackets; none if it is not in the text."""
    found = re.search(sentence + r" \(([^)]*)\)", text)
    return {id_ for id_, title in TITLES.items() if found and title in found[1]}


class Seen:
    """What a visitor sees of a site, and what the server does."""

    def __init__(self, visitor: Visitor, signals: Signals) -> None:
        page = visitor.get("/", signals)
        self.state = visitor.state(signals)
        self.purposes = {id_ for id_ in self.state["purposes"] if id_ != "necessary"}
        self.allowed = {id_ for id_ in self.purposes if self.state["purposes"][id_]}
        self.page, self.settings = page, visitor.get(PREFIX, signals)
        self.opened = visitor.get(f"{PREFIX}/question", signals, query=b"again")
        self.by_script = visitor.get(f"{PREFIX}/question", signals)
        self.do_not_sell = visitor.get(f"{PREFIX}/do-not-sell", signals)
        self.signals = {name[0].removeprefix("sec-") for name in signals}

    @property
    def link(self) -> str:
        found = re.search(r"data-privacy-settings[^>]*>Privacy settings(?:: ([a-z ]+))?</a>", self.page.text)
        assert found
        return found[1] or ""

    @property
    def banner(self) -> str:
        return self.page.text.partition('<form class="pchoice-form"')[2].partition("</form>")[0]


def check_server(seen: Seen) -> None:
    passed = {id_ for id_ in seen.purposes if "Max-Age=0" not in seen.page.set_cookies.get(COOKIES[id_], "Max-Age=0")}
    assert passed == seen.allowed
    assert seen.state["features"] == {"map": "media" in seen.allowed}


SUMMARIES: dict[str, Callable[[Seen], bool]] = {
    "You accepted all purposes.": lambda seen: seen.link == "accepted" and seen.allowed == seen.purposes,
    "You accepted some of the purposes.": lambda seen: (
        seen.link == "partly accepted" and bool(seen.allowed) and seen.state["status"] in ("granted", "partial")
    ),
    "You refused all purposes that are not strictly necessary.": lambda seen: (
        seen.link == "refused" and seen.state["status"] == "refused" and not seen.allowed
    ),
    "You refused some of the purposes, and have not answered for the others.": lambda seen: (
        not seen.link and seen.state["status"] == "partial" and seen.allowed < seen.purposes
    ),
    "What you do not refuse is used.": lambda seen: (
        not seen.link and seen.state["status"] == "unknown" and bool(seen.allowed)
    ),
    "Only what is strictly necessary is allowed.": lambda seen: (
        seen.link == ("" if seen.state["should_ask"] else "refused") and not seen.allowed
    ),
}
"""What a page says on the whole, and when that is true."""


def check_summary(seen: Seen, html: Reply) -> None:
    """Check what a page says on the whole. It says one thing, and the link at the end of pages says no other."""
    text = text_of(html.text)
    assert ticked(html.text) == (seen.purposes, seen.allowed)
    (said,) = [sentence for sentence in SUMMARIES if sentence in text]
    assert SUMMARIES[said](seen), said
    if "You have not answered yet." in text:
        assert seen.state["status"] == "unknown"


def check_signals(seen: Seen, html: Reply, *, explains: bool) -> None:
    """Check what a page says of signals."""
    text, off = text_of(html.text), seen.purposes - seen.allowed
    honours = "Global Privacy Control honoured" in text
    assert honours == seen.state["honours_gpc"]
    if honours:
        assert off & REFUSED_BY["gpc"]
    by_gpc = named(text, "Global Privacy Control signal. It is honoured: it counts as a refusal")
    by_dnt = named(text, "asks not to be tracked. It is honoured: it counts as a refusal")
    stays = named(text, "has switched off what you had allowed")
    assert by_gpc <= off & REFUSED_BY["gpc"]
    assert by_dnt <= off & REFUSED_BY["dnt"]
    assert stays <= off & set(seen.state["overruled"])
    assert bool(by_gpc) <= ("gpc" in seen.signals)
    assert bool(by_dnt) <= ("dnt" in seen.signals)
    if explains:
        assert set(seen.state["overruled"]) <= by_gpc | by_dnt | stays
        if seen.state["status"] != "refused":
            # Who did not refuse all reads of each purpose that a signal keeps off.
            assert by_gpc | by_dnt == {id_ for signal in seen.signals for id_ in off & REFUSED_BY[signal]}
    else:
        assert "you allow it here" not in text


def check_question(seen: Seen) -> None:
    """Check that the banner asks for what is open, and for nothing else."""
    asked, banner = set(seen.state["asked"]), seen.banner
    assert bool(asked) == seen.state["should_ask"] == bool(banner)
    assert not asked & seen.allowed
    assert not asked & {id_ for id_ in REFUSED_BY["gpc"] if "gpc" in seen.signals}
    assert not asked & {id_ for id_ in REFUSED_BY["dnt"] if "dnt" in seen.signals}
    assert seen.by_script.status == (200 if asked else 204)
    for html in (banner, seen.by_script.text):
        assert ticked(html) == (asked, set())
        found = re.search(r"similar data for (.*?)\?", text_of(html))
        assert bool(found) == bool(asked)
        assert {id_ for id_, title in TITLES.items() if found and title in found[1]} == asked
        assert ("Maps Inc." in html) == ("media" in asked)
        assert ("Map of offices" in html) == ("media" in asked)
    # In place of the settings page, it asks for no more, though there are boxes for all.
    found = re.search(r"similar data for (.*?)\?", text_of(seen.opened.text))
    assert {id_ for id_, title in TITLES.items() if found and title in found[1]} <= asked


def check_sale(seen: Seen) -> None:
    """Check the page of the sale."""
    text, offers = text_of(seen.do_not_sell.text), bool(forms(seen.do_not_sell.text))
    is_sold, opted_out = "ads" in seen.allowed, seen.state["opted_out"]
    assert offers == (not opted_out)
    assert offers == ("You can refuse that here." in text)
    assert opted_out == ("Your personal information is not sold or shared." in text)
    if opted_out:
        assert not is_sold
    if "Answered on" in text:
        # The answer refused it, and no signal.
        assert "gpc" not in seen.signals
        assert "ads" not in seen.state["overruled"]
    if "gpc" in seen.signals or "ads" in seen.state["overruled"]:
        assert offers == is_sold
    if "for 12 months" in text:
        assert seen.state["decided_at"]
        assert "ads" not in seen.state["asked"]


def check(seen: Seen, regime: str, sale: str) -> None:
    check_server(seen)
    for html in (seen.settings, seen.opened):
        check_summary(seen, html)
        check_signals(seen, html, explains=True)
    check_question(seen)
    check_signals(seen, seen.page, explains=False)
    assert (regime == "opt-out") <= (not seen.state["should_ask"])
    if sale == "sale":
        check_sale(seen)
        check_signals(seen, seen.do_not_sell, explains=False)


FEW_LIVES: list[tuple[Signals, Signals]] = [([], []), ([], [GPC, DNT]), ([GPC], [DNT])]
"""The signals with the answer, and on the page that is looked at. The full matrix has all pairs."""


@pytest.fixture
def pairs(request: pytest.FixtureRequest) -> list[tuple[Signals, Signals]]:
    """Signals with the answer, and on the page that is looked at."""
    return [*product(SIGNALS, SIGNALS)] if request.config.getoption("--full-matrix") else FEW_LIVES


@pytest.mark.slow
@pytest.mark.parametrize("regime", LAWS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_sentence_is_untrue_after_a_change_of_the_policy(
    answer: str, regime: str, pairs: list[tuple[Signals, Signals]]
) -> None:
    before, after = site(regime, "sale"), site(regime, "sale", WIDER)
    for then, now in pairs:
        visitor = Visitor(before, [("accept", "text/html"), ("x-country", LAWS[regime])])
        give_answer(visitor, answer, then)
        answered = visitor.state()["decided_at"]
        visitor.app = after
        seen = Seen(visitor, now)
        check(seen, regime, "sale")
        # What was allowed in sight of the signal was less.
        assert GPC not in now or "media" not in seen.allowed
        changed = "Our policy has changed, so we ask again." in text_of(seen.settings.text)
        assert changed <= bool(answered and "media" in seen.state["asked"])
        # The settings name what has changed.
        assert changed == ("It has changed since you accepted it." in text_of(seen.settings.text))


@pytest.mark.slow
@pytest.mark.parametrize("sale", ["sale", pytest.param("no sale", marks=pytest.mark.full_matrix)])
@pytest.mark.parametrize("regime", LAWS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_sentence_contradicts_another_or_the_server(
    answer: str, regime: str, sale: str, pairs: list[tuple[Signals, Signals]]
) -> None:
    app = site(regime, sale)
    # On a page after the answer, there is no signal, or in few lives another one.
    for at_answer, between, now in [*((then, [], now) for then, now in pairs), ([], [GPC], []), ([DNT], [GPC], [DNT])]:
        visitor = Visitor(app, [("accept", "text/html"), ("x-country", LAWS[regime])])
        give_answer(visitor, answer, at_answer)
        visitor.get("/", between)
        check(Seen(visitor, now), regime, sale)


@pytest.mark.requirement("SG-05")
@pytest.mark.parametrize("choice", ["accept_all", "grant"])
@pytest.mark.parametrize("regime", LAWS)
def test_only_saving_purpose_by_purpose_allows_what_a_signal_refuses(regime: str, choice: str) -> None:
    app = site(regime, "sale")
    visitor = Visitor(app, [("accept", "text/html"), ("x-country", LAWS[regime]), GPC])
    everything = dict.fromkeys(TITLES, True)
    visitor.post({"choice": choice, "purposes": everything})
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": True, "media": False, "ads": False}
    visitor.post({"choice": "save", "purposes": everything})
    assert visitor.state()["purposes"] == {"necessary": True, **everything}


def test_signal_refuses_a_purpose_that_is_new_since_everything_was_refused() -> None:
    visitor = Visitor(site("opt-out", "no sale"), [("accept", "text/html"), ("x-country", "US")])
    visitor.refuse()
    visitor.app = site("opt-out", "sale")
    assert visitor.state()["purposes"]["ads"]
    assert not visitor.state([GPC])["purposes"]["ads"]
