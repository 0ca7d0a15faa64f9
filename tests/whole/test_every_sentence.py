"""Holds every sentence that visitors of a new site read against what its server does.

The site is the policy that `cookie-consent init` writes, served by the app of the README. A sentence that no claim
knows fails, and so does a claim that nobody reads.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import html5lib
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
SIGNALS = {"gpc": ("sec-gpc", "1"), "dnt": ("dnt", "1")}
BY_SIGNAL = {"gpc": {"analytics", "media"}, "dnt": {"visits"}}
"""What signals refuse by default: GPC what goes to others, DNT what traces."""
STATES = ["unknown", "refused", "granted", "partly", "withdrawn", "gpc", "dnt", "blocked"]
READERS = [(None, "unknown"), (None, "granted"), *(("enforce", state) for state in STATES)]
"""What the app gives as `csp`, and the state of who reads. Only the second site keeps an access log and a ledger."""
DAY = 86_400
LIFETIME = 184 * DAY
_INLINE = frozenset({"noscript", "a", "b", "bdi", "code", "span", "strong", "time"})
_UNSEEN = frozenset({"head", "script", "style", "template"})


class Site:
    """The first site of a developer. With a policy for browsers it also keeps what the README's list says."""

    def __init__(self, csp: str | None) -> None:
        self.csp = csp
        self.clock = Clock()
        self.access_log = MemorySink()
        self.ledger = MemoryLedger()
        given: dict[str, Any] = {"clock": self.clock}
        if csp:
            given |= {"access_log": self.access_log, "ledger": self.ledger}
        options = ", ".join(f"{name}={name}" for name in given)
        self.app = run(APP.replace('csp="enforce"', f"csp={csp!r}, {options}"), **given)["app"]


class Person(Visitor):
    """Somebody who comes to a state, without JavaScript."""

    def __init__(self, site: Site, state: str) -> None:
        signal = [SIGNALS[state]] if state in SIGNALS else []
        super().__init__(site.app, [("accept", "text/html,*/*;q=0.8"), *signal])
        self.site = site
        self.keeps_cookies = state != "blocked"
        self.off = BY_SIGNAL.get(state, set())
        self.last = Reply()
        if state in {"granted", "withdrawn"}:
            self.press("accept_all")
        if state in {"refused", "blocked", "withdrawn"}:
            self.press("refuse_all")
        if state == "partly":
            self.allow("analytics")

    def request(self, *args: Any, **more: Any) -> Reply:
        reply = super().request(*args, **more)
        if not self.keeps_cookies:
            self.jar.clear()
        return reply

    def find_form(self, choice: str, *places: str) -> Form:
        """Return the form with a button on the first page that has one."""
        pages = (self.get(place).text for place in places)
        return next(form for page in pages for form in forms(page) if ("choice", choice) in form.buttons)

    def press(self, choice: str) -> Self:
        """Press a button of the question, or else of the settings."""
        form = self.find_form(choice, "/", PREFIX)
        self.last = self.send_form(form.pressed(choice), path=form.action)
        return self

    def allow(self, *purposes: str) -> Self:
        """Allow some purposes in the settings, and no others."""
        form = self.find_form("save", PREFIX)
        ticked = [f"purpose={it}" for it in purposes]
        self.last = self.send_form("&".join([form.pressed("save"), *ticked]), path=form.action)
        return self

    def erase(self) -> Self:
        self.last = self.send_form("", path=f"{PREFIX}/erase")
        return self

    def wait(self, seconds: float) -> Self:
        self.site.clock.forward(seconds=seconds)
        return self

    def kept(self, purposes: set[str]) -> set[str]:
        """Return what an answer allows: nothing, if the browser does not keep it."""
        return purposes if self.keeps_cookies else set()

    def export(self, name: str) -> Any:
        return self.get(f"{PREFIX}/export").json[name]

    @property
    def allowed(self) -> set[str]:
        """The optional purposes that the server says are allowed; where they act, they act accordingly."""
        state = self.state()
        allowed = {purpose for purpose, holds in state["purposes"].items() if holds and purpose != "necessary"}
        before = len(self.site.access_log.records)
        reply = self.get("/")
        assert (reply.set_cookies.get("_ga", "").startswith("_ga=1")) == ("analytics" in allowed)
        assert state["features"] == {"map": "media" in allowed}
        if self.site.csp:
            assert len(self.site.access_log.records) - before == ("visits" in allowed)
            origins = {it["id"]: it["origins"][0] for it in FILE["recipients"]}
            sent = reply.get("content-security-policy")
            assert (origins["example-maps"] in sent) == ("media" in allowed)
            assert (origins["google"] in sent) == ("analytics" in allowed)
        return allowed


# What a page says.


def find_texts(html: str, target: str = "") -> list[str]:
    """Return what can be read without JavaScript, one text for each element that is no part of a line.

    Our stylesheet shows the element that the address leads to, also if it is hidden.
    """

    def walk(element: Any) -> Iterator[str]:
        is_hidden = "hidden" in element.attrib and element.get("id") != target
        if is_hidden or element.tag in _UNSEEN:
            return
        edge = "" if element.tag in _INLINE else "\0"
        yield edge + (element.text or "")
        for child in element:
            yield from walk(child)
            yield child.tail or ""
        yield edge

    seen = "".join(walk(html5lib.parse(html, namespaceHTMLElements=False)))
    return [text for text in (" ".join(part.split()) for part in seen.split("\0")) if text]


def find_facts(value: object) -> Iterator[str]:
    """Yield the texts of a part of the policy file."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from find_facts(part)


def find_purposes(text: str) -> set[str]:
    """Return the ids of the purposes whose titles a text lists."""
    return {id_ for id_, purpose in FILE["purposes"].items() if purpose["title"]["en"] in text}


# What it claims.


def name_day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%B {datetime.fromtimestamp(seconds, UTC).day}, %Y}"


def find_cookies_of_a_life(site: Site) -> set[str]:
    """Return the names of the cookies that visitors of a site get on the whole."""
    person = Person(site, "granted")
    names = {*person.jar}
    person.get()
    names |= {*person.jar}
    person.get("/", [SIGNALS["gpc"]])
    names |= {*person.jar}
    return names | {*person.press("refuse_all").jar}


def ends_on_that_day(person: Person, said: str) -> bool:
    start = person.site.clock()
    answered, _, ends = said.rpartition("; valid until ")
    counts = person.wait(LIFETIME - 1).state()["status"] != "unknown"
    ended = person.wait(2).state()["status"] == "unknown"
    days = (answered in {"", name_day(start)}, ends == name_day(start + LIFETIME))
    return counts and ended and all(days) and not person.allowed


def erases_all_records(person: Person, said: str) -> bool:
    ids = {record["visitor.id"] for record in person.export("access_records")}
    person.erase()
    left = [record for id_ in ids for record in person.site.access_log.read(id_)]
    return bool(ids) and not left and not {"__Host-visitor", "__Secure-visitor-erasure"} & person.jar.keys()


def confirms_once(person: Person, said: str) -> bool:
    other = Person(person.site, "unknown").press("refuse_all")
    is_set = "__Host-consent-saved" in other.jar
    is_said = any("Your choice is saved." in text for text in find_texts(other.get().text))
    return is_set and is_said and "__Host-consent-saved" not in other.jar


def deletes_as_many(person: Person, said: str) -> bool:
    other = Person(person.site, "granted")
    other.get("/")
    before = {*other.jar}
    other.press("refuse_all")
    return len(before - other.jar.keys()) == int(said)


def keeps_the_answer(person: Person, said: str) -> bool:
    before = person.state()["purposes"]
    return bool(person.erase().state()["purposes"] == before)


def lists_cookies(person: Person, said: str) -> bool:
    """Tell whether each cookie that an accepting visitor gets is in the list."""
    listed = person.get(PREFIX).text.replace("_ga*", "_ga")
    person.allow(*OPTIONAL).get()
    return all(f">{name}<" in listed for name in person.jar)


CLAIMS: dict[str, Callable[[Person, str], object]] = {
    # The question.
    r"May Example Co., Ltd\. use cookies and similar data for ([^?]*)\?": (
        lambda it, said: find_purposes(said) == OPTIONAL - it.off
    ),
    r"Cookies on (Example Site)": lambda it, said: it.get(f"{PREFIX}/policy").json["site"]["name"] == said,
    r"Off if you refuse: (.*?)\.": (
        lambda it, said: said == "Map" and it.press("refuse_all").state()["features"] == {"map": False}
    ),
    r"Change this any time in Privacy settings\.": (
        lambda it, _: not it.allow(*OPTIONAL).wait(90 * DAY).press("refuse_all").allowed
    ),
    r"Refuse all|, and you can say no to all the rest\.": lambda it, _: not it.press("refuse_all").allowed,
    r"Accept all": lambda it, _: it.press("accept_all").allowed == it.kept(OPTIONAL - it.off),
    r"Save my choice": (
        lambda it, _: (
            it.allow("media").allowed == it.kept({"media"})
            and it.allow("visits", "analytics").allowed == it.kept({"visits", "analytics"})
        )
    ),
    r"(Visitor statistics|Google Analytics|Maps and videos)": (
        lambda it, said: it.allow(*find_purposes(said)).allowed == it.kept(find_purposes(said))
    ),
    # The link.
    r"Privacy settings: refused": lambda it, _: not it.allowed and not it.state()["should_ask"],
    r"Privacy settings: accepted": lambda it, _: it.allowed == OPTIONAL,
    r"Privacy settings: partly accepted": lambda it, _: set() < it.allowed < OPTIONAL,
    # What is kept saved, once, without JavaScript.
    r"You have withdrawn your consent\.": lambda it, _: not it.allowed and it.state()["decided_at"],
    r"(\d+) cookies? w(?:as|ere) deleted\.": deletes_as_many,
    r"(\d+) cookies? that remembers? this choice": (
        lambda it, said: len(find_cookies_of_a_life(it.site) - {"_ga", "__Host-visitor"}) == int(said)
    ),
    r"Your choice is saved\.": lambda it, _: it.state()["status"] != "unknown" and it.state()["decided_at"],
    r"Back to the page": lambda it, _: "Your choice is saved" not in it.get().text,
    # The settings.
    r"Here you see what Example Site stores and reads on your device, and why\.": lists_cookies,
    r"Your browser saves no cookies\. That counts as a refusal; some functions stay switched off\.": (
        lambda it, _: not it.jar and not it.press("accept_all").allowed
    ),
    r"Your answer cannot be remembered, so each page asks again\.": (
        lambda it, _: it.press("refuse_all").find_form("refuse_all", "/")
    ),
    r"Before you say yes, its server sets and reads only strictly necessary cookies and does not track your visits": (
        lambda it, _: it.site.csp is None and not Person(it.site, "unknown").allowed
    ),
    r"Nothing but what is strictly necessary happens before you say yes": (
        lambda it, _: it.site.csp == "enforce" and not Person(it.site, "unknown").allowed
    ),
    r"You have not answered yet\.": lambda it, _: it.state()["status"] == "unknown" and not it.state()["decided_at"],
    r"Only what is strictly necessary is allowed\.|You refused all purposes that are not strictly necessary\.": (
        lambda it, _: not it.allowed
    ),
    r"You accepted all purposes\.": lambda it, _: it.state()["status"] == "granted" and it.allowed == OPTIONAL,
    r"You accepted some of the purposes\.": (
        lambda it, _: it.state()["status"] == "partial" and set() < it.allowed < OPTIONAL
    ),
    r"(?:Answered on|Your answer, in a cookie on your device, until) (.*?)\.": ends_on_that_day,
    r"Your browser (?:sends the Global Privacy Control signal|asks not to be tracked)\. It is honoured: it counts as "
    r"a refusal \((.*?)\) unless you allow it here\.": (
        lambda it, said: (
            find_purposes(said) == it.off and not it.allowed & it.off and it.allow(*it.off).allowed == it.off
        )
    ),
    r"Global Privacy Control honoured": (
        lambda it, _: it.get("/.well-known/gpc.json").json["gpc"] is True and not it.allowed & BY_SIGNAL["gpc"]
    ),
    r"What the site needs to work and what you ask for yourself: your answer to this question, for example\.|"
    r"It needs no consent\.|Always on|session": lambda it, _: it.state()["purposes"]["necessary"],
    r"(__Host-(?:consent(?:-signal|-saved)?|visitor)|__Secure-visitor-erasure|_ga\*)": (
        lambda it, said: said.replace("*", "") in find_cookies_of_a_life(it.site)
    ),
    r"Stores your answer, so that you are not asked again on each page\.": (
        lambda it, _: it.press("refuse_all").state()["should_ask"] != it.keeps_cookies
    ),
    r"Stores that a signal of your browser has switched off what you had allowed\.": (
        lambda it, _: (
            (other := Person(it.site, "granted")).get("/", [SIGNALS["gpc"]])
            and other.allowed == OPTIONAL - BY_SIGNAL["gpc"]
        )
    ),
    r"Set when you answer without JavaScript, so that the next page can confirm that your choice is saved; .*": (
        confirms_once
    ),
    r"A random identifier for the access records of your visits\.": (
        lambda it, _: len({Person(it.site, "granted").jar["__Host-visitor"] for _ in range(2)}) == 2
    ),
    r"Set when your consent ends, so that you can see and erase the access records from before; .*": (
        lambda it, _: erases_all_records(Person(it.site, "withdrawn"), "")
    ),
    r"this site /privacy-choices": (
        lambda it, _: "path=/privacy-choices"
        in Person(it.site, "granted").press("refuse_all").last.set_cookies["__Secure-visitor-erasure"].lower()
    ),
    r"Not available without it": (
        lambda it, _: it.allow("visits", "analytics").state()["features"] == {"map": False}
    ),
    # What is kept about the visitor.
    r"Nothing was found for this browser\.": (
        lambda it, _: not any(it.export(kind) for kind in ("consent_records", "access_records", "visitor_id"))
    ),
    r"See what is kept about you": lambda it, _: ("Nothing was found" in it.get(PREFIX).text) == (not it.jar),
    r"This is what Example Site keeps about you:": lambda it, _: it.jar,
    r"Receipt of your answer": lambda it, _: it.get(f"{PREFIX}/receipt").status == 200,
    r"Download everything kept about you": lambda it, _: it.get(f"{PREFIX}/export").status == 200,
    r"(\d+) records? of your answers, as proof of what you were asked and answered": (
        lambda it, said: len(it.export("consent_records")) == int(said)
    ),
    r"The number of your answers, for questions about them: (\S+)\.": (
        lambda it, said: said in {record.get("consent_id") for record in it.site.ledger.kept}
    ),
    r"Your refusal is kept without an identifier: nobody can tell which record is yours, so none is listed here\.": (
        lambda it, _: it.site.ledger.kept[-1]["consent_id"] is None
    ),
    r"Access records of your visits, by an identifier that says nothing else about you: (\S+)\.": (
        lambda it, said: it.get() and [*it.site.access_log.read(said)]
    ),
    r"Access records of your visits before your consent ended, until (.*?), by an identifier .*?: (?:\S+)\.": (
        lambda it, said: said == name_day(it.site.clock() + 390 * DAY) and it.export("access_records")
    ),
    r"Erase my access records": erases_all_records,
    r"Your answer itself stays\.": keeps_the_answer,
    r"Send a request or a complaint": (
        lambda it, _: [form.method for form in forms(it.get(f"{PREFIX}/requests").text)] == ["post"]
    ),
    r"Version (\w+) is in force\. Last updated on .*?\. The whole policy as data \(JSON\)": (
        lambda it, said: it.get(f"{PREFIX}/policy").json["version"] == said == it.state()["policy"]
    ),
    r"(\d) third part(?:y|ies) would receive data": (
        lambda it, said: int(said) == sum(to["purpose"] not in it.off for to in FILE["recipients"])
    ),
    r"Your consent": lambda it, _: not Person(it.site, "unknown").allowed,
    r"Nothing so far\.": lambda it, _: "changes" not in FILE,
    r"Kept for (.*?)\.": lambda _, said: said in {purpose["retention"] for purpose in FILE["purposes"].values()},
    r"(184 days|395 days|1 minute)": (
        lambda it, said: any(
            f"max-age={ {'184 days': LIFETIME, '395 days': 395 * DAY, '1 minute': 60}[said]};" in line.lower()
            for line in Person(it.site, "unknown").press("accept_all").last.all("set-cookie")
        )
    ),
}  # fmt: skip
"""Pattern of a sentence -> whether it is true for somebody. A group in the pattern is what the sentence says."""
NAMES = re.compile(
    "(?:Home|Welcome|Example Site|Privacy settings|Cookies on Example Site|Choose|Purposes(?: and Cookies)?|"
    "Strictly necessary|"
    "Kinds of data|Legal basis|Cookies|Name|Lifetime|Set for|this site|Recipients?|What it receives|"
    "What it uses it for|Your data|Requests and complaints|Policy version|What changed|Country: \\w+(?: States)?|"
    "Reached at: \\S+|Example Co., Ltd. answers questions, .*: privacy@example.com|"
    "You may also complain to a data protection authority\\.|"
    + "|".join(re.escape(fact) for fact in sorted({*find_facts(FILE)}, key=len, reverse=True))
    + ")(?= |$|,)"
)
"""Headings, and the site's own facts."""


# Holding what is read against what is done.


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the site, with the key in the environment."""
    (tmp_path / "consent.toml").write_text(POLICY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)


def find_claims(text: str) -> Iterator[tuple[str, str]]:
    """Yield each claim of a text, by its pattern, and what it says. A text that no claim knows is an error."""
    rest = text
    while rest:
        known = [
            (found.end(), pattern, found) for pattern in CLAIMS if (found := re.match(rf"(?:{pattern})(?= |$|,)", rest))
        ]
        name = NAMES.match(rest)
        assert known or name, f"nobody has checked: {rest}"
        end, pattern, found = max(known, key=lambda it: it[0], default=(0, "", None))
        if found and (name is None or end >= name.end()):
            yield pattern, next(filter(None, found.groups()), "")
        else:
            end = name.end() if name else end
        rest = rest[end:].strip()


def read_pages(person: Person) -> dict[str, str]:
    """Return what somebody reads on a page and in the settings: pattern of a claim -> what it says."""
    target = person.last.get("location").partition("#")[2] if person.last.started else ""
    texts = [text for path in ("/", PREFIX) for text in find_texts(person.get(path).text, target)]
    return {pattern: said for text in texts for pattern, said in find_claims(text)}


@pytest.mark.slow
@pytest.mark.parametrize(("csp", "state"), READERS)
def test_every_sentence_is_true(csp: str | None, state: str) -> None:
    site = Site(csp)
    for pattern in read_pages(Person(site, state)):
        person = Person(site, state)
        said = read_pages(person)[pattern]
        assert CLAIMS[pattern](person, said), f"{pattern}: {said}"


def test_every_claim_is_read_by_somebody() -> None:
    sites = {csp: Site(csp) for csp in (None, "enforce")}
    seen = {pattern for csp, state in READERS for pattern in read_pages(Person(sites[csp], state))}
    assert seen == {*CLAIMS}
