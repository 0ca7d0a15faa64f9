"""Holds every sentence that visitors of a new site read against what its server does.

The site is the policy that `cookie-consent init` writes, served by the app of the README. A text that no claim knows
fails, and so does a claim that nobody reads.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.init import starter
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import NOW, PREFIX, Clock, Reply, Visitor
from tests.support.browsers.browser import Form, forms
from tests.support.documentation import blocks, run
from tests.support.policies import KEY

(APP,) = blocks("README.md", "python")
POLICY = starter(["en"], updated=datetime.fromtimestamp(NOW, UTC).date())
FILE = tomllib.loads(POLICY)
OPTIONAL = {"visits", "analytics", "media"}
STATES = ["unknown", "refused", "granted", "partly", "withdrawn", "gpc", "dnt", "blocked"]
SIGNALS = {"gpc": ("sec-gpc", "1"), "dnt": ("dnt", "1")}
BY_SIGNAL = {"gpc": {"analytics", "media"}, "dnt": {"visits"}}
"""What signals refuse by default: GPC what goes to others, DNT what traces."""
DAY = 86_400
LIFETIME = 184 * DAY
_INLINE = frozenset({"noscript", "a", "b", "bdi", "code", "span", "strong", "time"})
_UNSEEN = frozenset({"head", "script", "style", "template"})
_VOID = frozenset({"input", "link", "meta", "br", "hr", "img"})


class Site:
    """The first site of a developer.

    Args:
        csp: what the app gives as `csp`.
        keeps: whether it keeps an access log and a ledger, as the README's list says.
    """

    def __init__(self, csp: str | None, *, keeps: bool = False) -> None:
        self.csp, self.keeps, self.clock = csp, keeps, Clock()
        self.access_log, self.ledger = MemorySink(), MemoryLedger()
        given: dict[str, Any] = {"clock": self.clock}
        if keeps:
            given |= {"access_log": self.access_log, "ledger": self.ledger}
        named = ", ".join(f"{name}={name}" for name in given)
        code = APP.replace('csp="enforce"', f"csp={csp!r}, {named}")
        self.app = run(code, **given)["app"]


class Person(Visitor):
    """Somebody who comes to a state, without JavaScript."""

    def __init__(self, site: Site, state: str) -> None:
        signal = [SIGNALS[state]] if state in SIGNALS else []
        super().__init__(site.app, [("accept", "text/html,*/*;q=0.8"), *signal])
        self.site, self.state_name, self.target = site, state, ""
        if state in {"granted", "withdrawn"}:
            self.press("accept_all")
        if state in {"refused", "blocked", "withdrawn"}:
            self.press("refuse_all")
        if state == "partly":
            self.allow("analytics")

    def request(self, *args: Any, **more: Any) -> Reply:
        reply = super().request(*args, **more)
        if self.state_name == "blocked":
            self.jar.clear()
        return reply

    def again(self) -> Person:
        """Return somebody else in the same state."""
        return Person(self.site, self.state_name)

    def form(self, choice: str, *places: str) -> Form:
        """Return the form with a button on the first page that has one."""
        pages = (self.get(place).text for place in places)
        return next(form for page in pages for form in forms(page) if ("choice", choice) in form.buttons)

    def press(self, choice: str) -> Reply:
        """Press a button of the question, or else of the settings."""
        form = self.form(choice, "/", PREFIX)
        reply = self.send_form(form.pressed(choice), path=form.action)
        self.target = reply.get("location").partition("#")[2]
        return reply

    def allow(self, *purposes: str) -> Reply:
        """Allow some purposes in the settings, and no others."""
        form = self.form("save", PREFIX)
        return self.send_form("&".join([form.pressed("save"), *(f"purpose={it}" for it in purposes)]), path=form.action)

    @property
    def allowed(self) -> set[str]:
        """The optional purposes that the server says are allowed; where they act, they act accordingly."""
        state = self.state()
        allowed = {purpose for purpose, holds in state["purposes"].items() if holds and purpose != "necessary"}
        before = len(self.site.access_log.records)
        reply = self.get("/")
        assert (reply.set_cookies.get("_ga", "").startswith("_ga=1")) == ("analytics" in allowed)
        assert state["features"] == {"map": "media" in allowed}
        if self.site.keeps:
            assert len(self.site.access_log.records) - before == ("visits" in allowed)
        if self.site.csp:
            origins = {it["id"]: it["origins"][0] for it in FILE["recipients"]}
            sent = reply.get("content-security-policy")
            assert (origins["example-maps"] in sent) == ("media" in allowed)
            assert (origins["google"] in sent) == ("analytics" in allowed)
        return allowed

    @property
    def off_by_signal(self) -> set[str]:
        return BY_SIGNAL.get(self.state_name, set())

    @property
    def keeps_cookies(self) -> bool:
        return self.state_name != "blocked"


# What a page says.


class _Seen(HTMLParser):
    """Collects what can be read on a page without JavaScript, one text for each element that is no part of a line.

    Args:
        target: the id of the element that the address leads to. Our stylesheet shows it, also if it is hidden.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self.texts: list[str] = [""]
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_hidden = "hidden" in given and not (self._target and given.get("id") == self._target)
        hidden = tag in _UNSEEN or is_hidden or (bool(self._open) and self._open[-1][1])
        if tag not in _INLINE:
            self.texts.append("")
        if tag not in _VOID:
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag not in _INLINE:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if not (self._open and self._open[-1][1]):
            self.texts[-1] += data


def texts_of(html: str, target: str = "") -> list[str]:
    seen = _Seen(target)
    seen.feed(html)
    return [text for text in (" ".join(text.split()) for text in seen.texts) if text]


def facts_of_the_site(value: object) -> Iterator[str]:
    """Yield the texts of a part of the policy file."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from facts_of_the_site(part)


# What it claims.

Claim = Callable[[Person, str], None]
CLAIMS: dict[str, Claim] = {}


def claim(*patterns: str) -> Callable[[Claim], Claim]:
    """Register the check of texts. A group in a pattern is what the text says."""

    def register(check: Claim) -> Claim:
        CLAIMS.update(dict.fromkeys(patterns, check))
        return check

    return register


def titles(text: str) -> set[str]:
    """Return the ids of the purposes whose titles a text lists."""
    return {id_ for id_, purpose in FILE["purposes"].items() if purpose["title"]["en"] in text}


def cookies_set_in_a_life(site: Site) -> set[str]:
    """Return the names of the cookies that visitors of a site get on the whole."""
    person = Person(site, "granted")
    names = {*person.jar}
    person.get()
    names |= {*person.jar}
    person.get("/", [SIGNALS["gpc"]])
    names |= {*person.jar}
    person.press("refuse_all")
    return names | {*person.jar}


def day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%B {datetime.fromtimestamp(seconds, UTC).day}, %Y}"


# The question.


@claim(r"May Example Site store and read data \(such as cookies\) on your device, and use it, for: ([^?]*)\?")
def question_names_what_nobody_has_settled(person: Person, said: str) -> None:
    assert titles(said) == OPTIONAL - person.off_by_signal


@claim(r"(Example Co., Ltd\.) is responsible\.")
def controller_is_the_one_of_the_policy(person: Person, said: str) -> None:
    assert person.get(f"{PREFIX}/policy").json["site"]["controller"] == said


@claim(r"Off if you refuse: (.*?)\.")
def features_are_off_after_a_refusal(person: Person, said: str) -> None:
    assert said == "Map"
    person.press("refuse_all")
    assert person.state()["features"] == {"map": False}


@claim(r"Withdraw consent at any time: Privacy settings\.")
def consent_can_be_withdrawn_on_the_settings_page(person: Person, said: str) -> None:
    person.allow(*OPTIONAL)
    person.site.clock.forward(days=90)
    person.press("refuse_all")
    assert person.allowed == set()


@claim(r"Data would go to (.*\.)")
def recipients_are_those_of_the_purposes_in_question(person: Person, said: str) -> None:
    for recipient in FILE["recipients"]:
        assert (recipient["name"] in said) == (recipient["purpose"] not in person.off_by_signal)


@claim(r"Refuse all")
def button_refuses_all(person: Person, said: str) -> None:
    person.press("refuse_all")
    assert person.allowed == set()


@claim(r"Accept all")
def button_accepts_all_but_what_a_signal_refuses(person: Person, said: str) -> None:
    person.press("accept_all")
    assert person.allowed == (OPTIONAL - person.off_by_signal if person.keeps_cookies else set())


@claim(r"Save my choice")
def button_saves_the_choice(person: Person, said: str) -> None:
    for chosen in ({"media"}, {"visits", "analytics"}):
        person.allow(*chosen)
        assert person.allowed == (chosen if person.keeps_cookies else set())


@claim(r"(?:Allow: )?(Our record of visits|Statistics by Google|Maps and videos)")
def purpose_can_be_allowed_by_itself(person: Person, said: str) -> None:
    person.allow(*titles(said))
    assert person.allowed == (titles(said) if person.keeps_cookies else set())


# The link.


@claim(r"Privacy settings: refused")
def nothing_optional_is_allowed(person: Person, said: str) -> None:
    assert person.allowed == set()
    assert not person.state()["should_ask"]


@claim(r"Privacy settings: accepted")
def all_is_allowed(person: Person, said: str) -> None:
    assert person.allowed == OPTIONAL


@claim(r"Privacy settings: partly accepted")
def some_is_allowed(person: Person, said: str) -> None:
    assert set() < person.allowed < OPTIONAL


@claim(
    *("Home", "Welcome", "Example Site", "Privacy settings", "Cookies and your privacy", "Choose", "Purposes"),
    *("Strictly necessary", "Kinds of data", "Legal basis", "Cookies", "Name", "Lifetime", "Set for", "this site"),
    *("Recipients?", "What it receives", "What it uses it for", "Your data", "Requests and complaints"),
    *("Policy version", "What changed"),
)
def heading_says_nothing(person: Person, said: str) -> None:
    assert person.get().status == 200


# What is kept saved, once, without JavaScript.


@claim(r"Your choice is saved\.")
def choice_is_saved(person: Person, said: str) -> None:
    assert person.state()["status"] != "unknown"
    assert person.state()["decided_at"]


@claim(r"Back to the page")
def page_without_the_message_is_there(person: Person, said: str) -> None:
    assert person.get().status == 200
    assert "Your choice is saved" not in person.get().text


# The settings.


@claim(r"Here you see what Example Site stores and reads on your device, and why\.")
def cookies_that_an_accepting_visitor_gets_are_in_the_list(person: Person, said: str) -> None:
    listed = person.get(PREFIX).text
    person.allow(*OPTIONAL)
    person.get()
    for name in person.jar:
        assert f">{name}<" in listed or (name == "_ga" and ">_ga*<" in listed)


@claim(r"Your browser saves no cookies\. That counts as a refusal; some functions stay switched off\.")
def answer_that_is_not_kept_is_a_refusal(person: Person, said: str) -> None:
    assert person.jar == {}
    person.press("accept_all")
    assert person.allowed == set()
    assert person.state()["features"] == {"map": False}


@claim(r"Your answer cannot be remembered, so each page asks again\.")
def next_page_asks_again(person: Person, said: str) -> None:
    person.press("refuse_all")
    assert person.form("refuse_all", "/").action == PREFIX


@claim(
    r"Before you say yes, its server sets and reads only strictly necessary cookies and does not track your visits",
)
def server_uses_only_the_necessary_before_an_answer(person: Person, said: str) -> None:
    assert person.site.csp is None
    assert Person(person.site, "unknown").allowed == set()


@claim(r"Nothing but what is strictly necessary happens before you say yes")
def nothing_optional_is_allowed_before_an_answer(person: Person, said: str) -> None:
    assert person.site.csp == "enforce"
    assert Person(person.site, "unknown").allowed == set()


@claim(r", and you can say no to all the rest\.")
def all_the_rest_can_be_refused(person: Person, said: str) -> None:
    button_refuses_all(person, said)


@claim(r"You have not answered yet\.")
def visitor_has_not_answered(person: Person, said: str) -> None:
    state = person.state()
    assert state["status"] == "unknown"
    assert state["decided_at"] is None


@claim(
    r"Only what is strictly necessary is allowed\.",
    r"You refused all purposes that are not strictly necessary\.",
)
def only_the_necessary_is_used(person: Person, said: str) -> None:
    assert person.allowed == set()


@claim(r"You accepted all purposes\.")
def all_purposes_are_accepted(person: Person, said: str) -> None:
    assert person.state()["status"] == "granted"
    assert person.allowed == OPTIONAL


@claim(r"You accepted some of the purposes\.")
def some_purposes_are_accepted(person: Person, said: str) -> None:
    assert person.state()["status"] == "partial"
    assert set() < person.allowed < OPTIONAL


@claim(
    r"Answered on (.*?; valid until .*?)\.",
    r"Your answer, in a cookie on your device, until (.*?)\.",
)
def answer_ends_on_that_day(person: Person, said: str) -> None:
    start = person.site.clock()
    answered, _, ends = said.rpartition("; valid until ")
    assert answered in {"", day(start)}
    assert ends == day(start + LIFETIME)
    person.site.clock.forward(seconds=LIFETIME - 1)
    assert person.state()["status"] != "unknown"
    person.site.clock.forward(seconds=2)
    assert person.state()["status"] == "unknown"
    assert person.allowed == set()


@claim(
    r"Your browser sends the Global Privacy Control signal\. It is honoured: it counts as a refusal \((.*?)\) "
    r"unless you allow it here\.",
    r"Your browser asks not to be tracked\. It is honoured: it counts as a refusal \((.*?)\) "
    r"unless you allow it here\.",
)
def signal_refuses_until_the_visitor_allows(person: Person, said: str) -> None:
    assert titles(said) == person.off_by_signal
    assert not person.allowed & person.off_by_signal
    person.allow(*person.off_by_signal)
    assert person.allowed == person.off_by_signal


@claim(r"Global Privacy Control honoured")
def control_is_honoured(person: Person, said: str) -> None:
    assert person.get("/.well-known/gpc.json").json["gpc"] is True
    assert not person.allowed & BY_SIGNAL["gpc"]


@claim(
    r"What the site needs to work and what you ask for yourself: your answer to this question, for example\.",
    r"It needs no consent\.|Always on|session",
)
def necessary_cookie_passes_in_every_state(person: Person, said: str) -> None:
    assert person.state()["purposes"]["necessary"] is True
    assert {"name": "session", "purpose": "necessary", "duration": "14 days"} in FILE["cookies"]


@claim(r"(__Host-(?:consent(?:-signal|-saved)?|visitor)|__Secure-visitor-erasure|_ga\*)")
def listed_cookie_is_one_that_the_site_sets(person: Person, said: str) -> None:
    name = said.replace("*", "")
    assert name in cookies_set_in_a_life(person.site)


@claim(r"Stores your answer, so that you are not asked again on each page\.")
def answer_is_not_asked_again(person: Person, said: str) -> None:
    person.press("refuse_all")
    if person.keeps_cookies:
        assert not person.state()["should_ask"]


@claim(r"Stores that a signal of your browser has switched off what you had allowed\.")
def switched_off_by_a_signal_is_kept(person: Person, said: str) -> None:
    other = Person(person.site, "granted")
    other.get("/", [SIGNALS["gpc"]])
    assert other.allowed == OPTIONAL - BY_SIGNAL["gpc"]


@claim(r"Set when you answer without JavaScript, so that the next page can confirm that your choice is saved; .*")
def saved_is_confirmed_once(person: Person, said: str) -> None:
    other = Person(person.site, "unknown")
    other.press("refuse_all")
    assert other.jar["__Host-consent-saved"] in {"refused", "1"}
    assert "Your choice is saved." in texts_of(other.get().text)[1]
    assert "__Host-consent-saved" not in other.jar


@claim(r"A random identifier for the access records of your visits\.")
def identifier_is_random(person: Person, said: str) -> None:
    visitors = [Person(person.site, "granted").jar["__Host-visitor"] for _ in range(2)]
    assert len({*visitors}) == 2


@claim(r"Set when your consent ends, so that you can see and erase the access records from before; .*")
def records_from_before_can_be_seen_and_erased(person: Person, said: str) -> None:
    other = Person(person.site, "granted")
    other.get()
    other.press("refuse_all")
    assert other.get(f"{PREFIX}/export").json["access_records"]
    other.send_form("", path=f"{PREFIX}/erase")
    assert not other.get(f"{PREFIX}/export").json["access_records"]


@claim(r"this site /privacy-choices")
def cookie_is_sent_to_our_endpoints_alone(person: Person, said: str) -> None:
    other = Person(person.site, "granted")
    (line,) = [it for it in other.press("refuse_all").all("set-cookie") if it.startswith("__Secure-visitor-erasure=")]
    assert "path=/privacy-choices" in line.lower()


@claim(r"Not available without it")
def feature_needs_its_purpose(person: Person, said: str) -> None:
    person.allow("visits", "analytics")
    assert person.state()["features"] == {"map": False}


@claim(r"Nothing was found for this browser\.")
def nothing_is_kept(person: Person, said: str) -> None:
    exported = person.get(f"{PREFIX}/export").json
    assert not any(kept for kind, kept in exported.items() if kind not in {"access_records_complete", "meanings"})


@claim(r"This is what Example Site keeps about you:")
def something_is_kept(person: Person, said: str) -> None:
    assert person.jar


@claim(r"Receipt of your answer")
def receipt_is_there(person: Person, said: str) -> None:
    assert person.get(f"{PREFIX}/receipt").status == 200


@claim(r"Everything kept about you")
def everything_can_be_exported(person: Person, said: str) -> None:
    assert person.get(f"{PREFIX}/export").status == 200


@claim(r"(\d+) records? of your answers, as proof of what you were asked and answered")
def records_of_answers_are_kept(person: Person, said: str) -> None:
    assert len(person.get(f"{PREFIX}/export").json["consent_records"]) == int(said)


@claim(r"The number of your answers, for questions about them: (\S+)\.")
def number_of_answers_finds_them(person: Person, said: str) -> None:
    assert said in {record.get("consent_id") for record in person.site.ledger.kept}


@claim(r"Your refusal is kept without an identifier: nobody can tell which record is yours, so none is listed here\.")
def refusal_has_no_identifier(person: Person, said: str) -> None:
    assert person.site.ledger.kept[-1]["consent_id"] is None


@claim(r"Access records of your visits, by an identifier that says nothing else about you: (\S+)\.")
def visits_are_recorded_under_the_identifier(person: Person, said: str) -> None:
    person.get()
    assert [*person.site.access_log.read(said)]


@claim(r"Access records of your visits before your consent ended, until (.*?), by an identifier .*?: (?:\S+)\.")
def records_from_before_can_be_erased_until_then(person: Person, said: str) -> None:
    assert said == day(person.site.clock() + 390 * DAY)
    assert person.get(f"{PREFIX}/export").json["access_records"]


@claim(r"Erase my access records")
def access_records_are_erased(person: Person, said: str) -> None:
    ids = {record["visitor.id"] for record in person.get(f"{PREFIX}/export").json["access_records"]}
    assert ids
    person.send_form("", path=f"{PREFIX}/erase")
    assert not [record for id_ in ids for record in person.site.access_log.read(id_)]
    assert "__Host-visitor" not in person.jar
    assert "__Secure-visitor-erasure" not in person.jar


@claim(r"Your answer itself stays\.")
def answer_stays_after_erasing(person: Person, said: str) -> None:
    before = person.state()
    person.send_form("", path=f"{PREFIX}/erase")
    assert person.state()["purposes"] == before["purposes"]


@claim(
    r"Example Co., Ltd. answers questions, requests to see, correct or erase what is kept .*: privacy@example.com",
    r"You may also complain to a data protection authority\.",
)
def contact_is_the_one_of_the_policy(person: Person, said: str) -> None:
    assert "privacy@example.com" in person.get(PREFIX).text


@claim(r"Send a request or a complaint")
def requests_are_taken(person: Person, said: str) -> None:
    page = person.get(f"{PREFIX}/requests")
    assert page.status == 200
    assert [form.method for form in forms(page.text)] == ["post"]


@claim(r"Version (\w+) is in force\. Last updated on .*?\. The whole policy as data \(JSON\)")
def policy_is_the_one_in_force(person: Person, said: str) -> None:
    assert person.get(f"{PREFIX}/policy").json["version"] == said == person.state()["policy"]


@claim(r"You may refuse: the site works without it\.")
def page_is_the_same_after_a_refusal(person: Person, said: str) -> None:
    person.press("refuse_all")
    assert person.get().status == 200
    assert "<h1>Welcome</h1>" in person.get().text


@claim(r"Your consent")
def what_has_this_legal_basis_waits_for_a_yes(person: Person, said: str) -> None:
    assert Person(person.site, "unknown").allowed == set()


@claim(r"Nothing so far\.")
def policy_has_not_changed(person: Person, said: str) -> None:
    assert "changes" not in FILE


@claim(r"Kept for (.*?)\.")
def retention_is_declared(person: Person, said: str) -> None:
    assert said in {purpose["retention"] for purpose in FILE["purposes"].values()}


@claim(r"(184 days|395 days|1 minute)")
def own_cookie_lasts_so_long(person: Person, said: str) -> None:
    seconds = {"184 days": LIFETIME, "395 days": 395 * DAY, "1 minute": 60}[said]
    lines = Person(person.site, "unknown").press("accept_all").all("set-cookie")
    assert any(f"max-age={seconds};" in line.lower() for line in lines)


@claim(r"Country: (?:Ireland|United States)|Reached at: (.*)")
def place_is_declared(person: Person, said: str) -> None:
    assert set(said.split()) <= {origin for it in FILE["recipients"] for origin in it["origins"]}
    assert {it["country"] for it in FILE["recipients"]} == {"IE", "US"}


@claim("|".join(re.escape(fact) for fact in sorted({*facts_of_the_site(FILE)}, key=len, reverse=True)))
def fact_is_the_sites_own(person: Person, said: str) -> None:
    assert person.get(f"{PREFIX}/policy").status == 200


# Holding what is read against what is done.


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the site, with the key in the environment."""
    (tmp_path / "consent.toml").write_text(POLICY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)


def claims_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield each claim of a text, by its pattern, and what it says.

    Raises:
        AssertionError: no claim knows what the text says.
    """
    rest = text
    while rest:
        known = [
            (found.end(), pattern, found) for pattern in CLAIMS if (found := re.match(rf"(?:{pattern})(?= |$|,)", rest))
        ]
        assert known, f"nobody has checked: {rest}"
        end, pattern, found = max(known, key=lambda it: it[0])
        yield pattern, next(filter(None, found.groups()), "")
        rest = rest[end:].strip()


def read(person: Person) -> dict[str, str]:
    """Return what somebody reads on a page and in the settings: pattern of a claim -> what it says."""
    pages = [texts_of(person.get(path).text, person.target) for path in ("/", PREFIX)]
    return {pattern: said for texts in pages for text in texts for pattern, said in claims_in(text)}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("csp", [None, "enforce"], ids=["cookies-alone", "enforced-and-kept"])
def test_every_sentence_is_true(csp: str | None, state: str) -> None:
    site = Site(csp, keeps=csp is not None)
    for pattern in read(Person(site, state)):
        person = Person(site, state)
        said = read(person)[pattern]
        CLAIMS[pattern](person, said)


def test_every_claim_is_read_in_some_state() -> None:
    sites = [Site(None), Site("enforce", keeps=True)]
    seen = {pattern for site in sites for state in STATES for pattern in read(Person(site, state))}
    assert seen == {*CLAIMS}
