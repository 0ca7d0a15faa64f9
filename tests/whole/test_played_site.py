"""A bot plays 38 days at a site in Tokyo and counts for itself. Each figure of a report is that of its count."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import StringIO
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from statistics import mean, median
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import anyio
import duckdb
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.cli.frame import GOOD
from cookie_consent.cli.main import main
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from tests.support.asgi import PREFIX, Clock, drive
from tests.support.policies import KEY
from tests.support.waiting import wait_until

TOKYO = ZoneInfo("Asia/Tokyo")
FIRST, DAYS = date(2026, 10, 5), 38
PLAYED = [FIRST + timedelta(days=number) for number in range(DAYS)]
HOST = "hafen.example"
POLICY = """
[site]
name = "Hafen"
controller = "Hafen AG, Tokyo"
contact = "desk@hafen.example"
languages = ["en"]
prevailing_language = "en"
time_zone = "Asia/Tokyo"

[purposes.analytics]
title = { en = "Visitor statistics" }
description = { en = "We count which pages are read." }
traces = true
retention = "200 days"
erase_on_withdrawal = true

[purposes.media]
title = { en = "Films" }
description = { en = "We show films of another site." }

[goals.order]
page = "/thanks"

[funnels.buy]
steps = ["/shop", "goal:order"]
"""
NEXT = {
    "/": ("/shop", "/offices", "/guide"),
    "/guide": ("/shop", "/", "/lost"),
    "/offices": ("/", "/guide"),
    "/shop": ("/thanks", "/guide", "/broken"),
    "/thanks": ("/",),
}
SOURCES = (
    ("", ""),
    ("https://news.example", ""),
    ("https://www.google.com", ""),
    ("", "utm_source=letter&utm_medium=email&utm_campaign=autumn"),
    ("https://www.google.com", "utm_source=google&utm_medium=cpc&utm_campaign=brand"),
)
CHANNELS = dict(zip(SOURCES, ("direct", "other site", "search", "mail", "paid search"), strict=True))
CHANNELS |= {("(internal)", query): CHANNELS[site, query] if query else "unknown" for site, query in SOURCES}
AGENTS = {
    ("Firefox", "Linux", "pc"): "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ("Mobile Safari", "iOS", "mobile"): "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
}
TRACED = ("yes", "late", "leaves")
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "no": ({"choice": "refuse_all"}, "refused"),
    "some": ({"choice": "save", "purposes": {"media": True, "analytics": False}}, "partial"),
}
NAVIGATION = {"dest": "document", "mode": "navigate"}
STAYS = (20, 60, 200)
"""Seconds on a page."""


async def page(request: Request) -> Response:
    if request.url.path == "/broken":
        return HTMLResponse("<!doctype html><title>Error</title><body><p>It broke.", 500)
    return HTMLResponse(f"<!doctype html><title>Hafen</title><body><h1>{request.url.path}</h1>")


async def data(request: Request) -> Response:
    return JSONResponse({"offices": 3})


SITE = Starlette(routes=[*(Route(path, page) for path in (*NEXT, "/broken")), Route("/offices.json", data)])


@dataclass
class Visit:
    """What a visitor did in one visit that was traced, as the visitor knows it.

    Args:
        visitor: the number of the visitor.
        agent: the browser, its system and device.
        source: the origin of the site before, and the query of the first page.
    """

    visitor: int
    agent: tuple[str, str, str]
    source: tuple[str, str]
    pages: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    reported: int = 0
    """How many of the pages the browser's script told of: that on which the visitor said yes."""
    last: datetime | None = None


@dataclass
class Person:
    """A visitor, who has one browser.

    Args:
        number: the number of the visitor.
        temper: what the visitor does with the question.
        agent: the browser, its system and device.
        client: keeps the cookies.
    """

    number: int
    temper: str
    agent: tuple[str, str, str]
    client: httpx.AsyncClient
    has_answered: bool = False


class Bot:
    """Visitors who come for some days, and what they did."""

    def __init__(self, log: Path) -> None:
        self.random = random.Random(38)  # noqa: S311 (visitors, no secrets)
        self.clock = Clock()
        policy = log.with_name("consent.toml")
        policy.write_text(POLICY, "utf-8")
        self.app = ConsentMiddleware(SITE, policy, KEY, access_log=log, clock=self.clock)
        self.people = [self._person(number) for number in range(90)]
        self.now = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=TOKYO)
        self.visits: list[Visit] = []
        self.counted: Counter[tuple[date, str]] = Counter()
        self.gone: set[int] = set()

    def _person(self, number: int) -> Person:
        (temper,) = self.random.choices(("yes", "late", "no", "some", "looks", "leaves"), (5, 3, 3, 1, 2, 1))
        transport = httpx.ASGITransport(self.app, client=(f"203.0.{number}.9", 5000))
        client = httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}")
        return Person(number, temper, self.random.choice([*AGENTS]), client)

    async def play(self) -> None:
        """Play all visits in the order of time."""
        planned = [
            (self._time(day), person.number)
            for person in self.people
            for day in self.random.sample(range(DAYS), self.random.choice((1, 1, 2, 3)))
        ]
        for begin, number in sorted(planned):
            self._set_time(begin)
            await self._visit(self.people[number])
        for person in self.people:
            if person.temper == "leaves":
                await self._withdraw(person)
        await drive(
            self.app, {"type": "lifespan", "state": {}}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        )

    def _time(self, day: int) -> datetime:
        """Return a time after the 20th minute: records are early by a quarter of an hour at most."""
        begin = datetime.combine(FIRST + timedelta(days=day), time(0, 20), tzinfo=TOKYO)
        return begin + timedelta(hours=self.random.randrange(24), seconds=self.random.randrange(600))

    def _set_time(self, now: datetime) -> None:
        self.now = now
        self.clock.now = now.timestamp()

    def _wait(self, seconds: int) -> None:
        self._set_time(self.now + timedelta(seconds=seconds))

    def _count(self, name: str) -> None:
        self.counted[self.now.date(), name] += 1

    async def _visit(self, person: Person) -> None:
        visit = Visit(person.number, person.agent, self.random.choice(SOURCES))
        referrer, query = visit.source
        path = self.random.choice(("/", "/guide", "/shop"))
        for _ in range(self.random.choice((1, 2, 3, 5))):
            await self._look(person, visit, path, referrer, query)
            referrer, query = f"https://{HOST}{path}", ""
            path = self.random.choice(NEXT.get(path, ("/",)))
            self._wait(self.random.choice(STAYS))
        if visit.pages:
            self.visits.append(visit)

    async def _look(self, person: Person, visit: Visit, path: str, referrer: str, query: str) -> None:
        """Look at a page, and do there what this visitor does."""
        is_traced = person.has_answered and person.temper in TRACED
        reply = await self._get(person, path, referrer, query)
        if reply.status_code == 200:
            self._count("views")
        is_asked = b'value="refuse_all"' in reply.content
        assert is_asked == (not person.has_answered and path != "/lost")
        if is_asked:
            self._count("asked")
            if HOST not in referrer:
                self._count("asked_first")
        if is_traced:
            self._saw(visit, path, reply.status_code, referrer)
        elif is_asked and reply.status_code == 200 and self._makes_up_their_mind(person, referrer):
            await self._answer(person, visit, path, referrer)
        if path == "/offices":
            await self._fetch(person, visit)
        if path == "/thanks" and visit.pages:
            await self._order(person, visit)

    def _saw(self, visit: Visit, path: str, status: int, referrer: str) -> None:
        visit.last = self.now
        if status == 404:
            visit.missing.append((path, referrer.removeprefix(f"https://{HOST}")))
        elif status == 500:
            visit.failed.append(path)
        else:
            self._count("views_recorded")
            visit.pages.append(path)
            visit.times.append(self.now)

    def _makes_up_their_mind(self, person: Person, referrer: str) -> bool:
        return HOST in referrer if person.temper == "late" else person.temper != "looks"

    async def _answer(self, person: Person, visit: Visit, path: str, referrer: str) -> None:
        """Answer the question on a page; if that begins tracing, tell of the page as the browser's script does."""
        body, name = ANSWERS.get(person.temper, ({"choice": "accept_all"}, "granted"))
        reply = await self._post(person, "", **body)
        assert reply.status_code == 200, reply.text
        person.has_answered = True
        self._count(name)
        assert reply.json().get("tracing_began", False) == (person.temper in TRACED)
        if person.temper in TRACED:
            campaign = visit.source[1]  # that of the first page of this visit
            page = {"path": path, "query": campaign, "asked": True}
            if HOST in referrer:
                visit.source = ("(internal)", campaign)
            if referrer:
                page["referrer"] = f"https://{urlsplit(referrer).netloc}"
            told = await self._post(person, "/events", name="page_view", **page)
            assert told.status_code == 204, told.text
            self._saw(visit, path, 200, referrer)
            visit.reported += 1

    async def _fetch(self, person: Person, visit: Visit) -> None:
        self._wait(2)
        await self._get(person, "/offices.json", f"https://{HOST}/offices", "", {"dest": "empty", "mode": "cors"})
        if visit.pages:
            visit.fetched.append("/offices.json")
            visit.last = self.now

    async def _order(self, person: Person, visit: Visit) -> None:
        self._wait(3)
        order = self.random.choice(({"price": 9, "plan": "basic"}, {"price": 29, "plan": "team"}))
        reply = await self._post(person, "/events", name="order", path="/thanks", properties=order)
        assert reply.status_code == 204, reply.text
        visit.events.append(order)
        visit.last = self.now

    async def _withdraw(self, person: Person) -> None:
        if person.has_answered:
            self.gone.add(person.number)
            self._count("withdrawn")
            assert (await self._post(person, "", choice="refuse_all")).status_code == 200

    async def _get(
        self, person: Person, path: str, referrer: str, query: str, fetch: Mapping[str, str] = NAVIGATION
    ) -> httpx.Response:
        site = "same-origin" if HOST in referrer else "cross-site" if referrer else "none"
        fields = {
            "user-agent": AGENTS[person.agent],
            "accept": "text/html",
            "sec-fetch-site": site,
            "referer": referrer,
        }
        fields |= {f"sec-fetch-{name}": value for name, value in fetch.items()}
        return await person.client.get(f"{path}?{query}", headers=fields)

    async def _post(self, person: Person, endpoint: str, **body: Any) -> httpx.Response:
        fields = {"user-agent": AGENTS[person.agent], "sec-fetch-site": "same-origin", "accept": "application/json"}
        return await person.client.post(f"{PREFIX}{endpoint}", json=body, headers=fields)


class Truth:
    """The figures, from what the visitors know. A visit of theirs is a session: they pause for a day between two."""

    def __init__(self, bot: Bot) -> None:
        self.visits = [visit for visit in bot.visits if visit.visitor not in bot.gone]
        self.counted = bot.counted
        self.views = [
            (visit, path, time) for visit in self.visits for path, time in zip(visit.pages, visit.times, strict=True)
        ]
        self.bounces = [visit for visit in self.visits if len(visit.pages) == 1 and not visit.events]
        self.orders = [(event, visit.visitor) for visit in self.visits for event in visit.events]
        self.reached = [visit for visit in self.visits if "/thanks" in visit.pages]

    def total(self, name: str) -> int:
        return sum(value for (_, counted), value in self.counted.items() if counted == name)

    def by_visit(self, name: Callable[[Visit], Any]) -> dict[Any, tuple[int, int]]:
        return count_by((name(visit), visit.visitor) for visit in self.visits)

    def by_agent(self, part: int) -> dict[Any, tuple[int, int]]:
        return count_by((visit.agent[part], visit.visitor) for visit, _, _ in self.views)

    def count_routes(self) -> dict[str, tuple[int, int, int]]:
        """Return the good, lost and bad requests of each route. The page of the yes was requested before it."""
        good = Counter(path for visit in self.visits for path in [*visit.pages[visit.reported :], *visit.fetched])
        bad = Counter(path for visit in self.visits for path in visit.failed)
        lost = sum(len(visit.missing) for visit in self.visits)
        return {path: (good[path], 0, bad[path]) for path in {*good, *bad}} | {"(no route)": (0, lost, 0)}

    def count_entries(self) -> dict[str, tuple[int, int]]:
        """Return the sessions that began with each page, and those that saw nothing else."""
        bounces = Counter(visit.pages[0] for visit in self.bounces)
        return {path: (number, bounces[path]) for path, number in Counter(it.pages[0] for it in self.visits).items()}


def count_by(things: Iterable[tuple[Any, int]]) -> dict[Any, tuple[int, int]]:
    """Return how many things there are of each name, and of how many visitors."""
    visitors: dict[Any, list[int]] = defaultdict(list)
    for name, visitor in things:
        visitors[name].append(visitor)
    return {name: (len(each), len(set(each))) for name, each in visitors.items()}


def read_rows(report: dict[str, Any], figure: str, names: str, numbers: str) -> dict[Any, Any]:
    """Return the numbers of a list's rows by their names."""
    name = itemgetter(*names.split())
    number = itemgetter(*numbers.split())
    return {name(row): number(row) for row in report[figure]}


def read_campaign(query: str) -> tuple[str, ...]:
    return tuple(part.partition("=")[2] for part in query.split("&"))


Played = tuple[Truth, dict[str, Any]]
LISTS: dict[str, tuple[str, str, Callable[[Truth], dict[Any, Any]]]] = {
    "by_hour": ("hour", "views", lambda truth: {
        hour: sum(time.hour == hour for _, _, time in truth.views) for hour in range(24)
    }),
    "pages": ("path", "views visitors", lambda truth: count_by((path, it.visitor) for it, path, _ in truth.views)),
    "entry_pages": ("path", "sessions bounces", Truth.count_entries),
    "exit_pages": ("path", "sessions", lambda truth: Counter(visit.pages[-1] for visit in truth.visits)),
    "next_pages": ("path next", "times visitors", lambda truth: count_by(
        (step, visit.visitor) for visit in truth.visits for step in pairwise(visit.pages) if step[0] != step[1]
    )),
    "referrers": ("referrer", "sessions visitors", lambda truth: truth.by_visit(lambda it: it.source[0] or "(direct)")),
    "campaigns": ("source medium campaign", "sessions visitors", lambda truth: count_by(
        (read_campaign(visit.source[1]), visit.visitor) for visit in truth.visits if visit.source[1]
    )),
    "channels": ("channel", "sessions visitors", lambda truth: truth.by_visit(lambda it: CHANNELS[it.source])),
    "browsers": ("browser", "views visitors", lambda truth: truth.by_agent(0)),
    "systems": ("os", "views visitors", lambda truth: truth.by_agent(1)),
    "devices": ("device", "views visitors", lambda truth: truth.by_agent(2)),
    "missing": ("path source", "requests visitors", lambda truth: count_by(
        (each, visit.visitor) for visit in truth.visits for each in visit.missing
    )),
    "failing_pages": ("path", "requests visitors", lambda truth: count_by(
        (path, visit.visitor) for visit in truth.visits for path in visit.failed
    )),
    "routes": ("route", "2xx 4xx 5xx", Truth.count_routes),
    "property_values": ("value", "events visitors", lambda truth: count_by(
        (event["plan"], visitor) for event, visitor in truth.orders
    )),
}  # fmt: skip
"""A list of the report -> its names, its numbers, and what they are by what the visitors know."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path]:
    """What the visitors know, and the access log."""
    log = tmp_path_factory.mktemp("site") / "access.jsonl"
    bot = Bot(log)
    anyio.run(bot.play)
    # The site ends without waiting for all erasures: the others go on, or the next process continues with their notes.
    notes = log.with_name("access.jsonl.to-erase")
    wait_until(lambda: not any(notes.iterdir()))
    # A server would have closed the file of each day.
    log.rename(path_of(log, PLAYED[-1] + timedelta(days=1), 1, FileFormat.PLAIN))
    return Truth(bot), log


@pytest.fixture(scope="module")
def played(site: tuple[Truth, Path]) -> Played:
    """What the visitors know, and the report."""
    truth, log = site
    words = ["--access-log", str(log), "--policy", str(log.with_name("consent.toml")), "--json"]
    words += ["--from", PLAYED[0].isoformat(), "--to", PLAYED[-1].isoformat()]
    said = StringIO()
    with redirect_stdout(said):
        assert main(["report", *words, "--threshold", "1", "--limit", "1000"]) == GOOD
    return truth, json.loads(said.getvalue())


def test_totals_are_those_of_the_visitors(played: Played) -> None:
    truth, report = played
    seconds = [(visit.last - visit.times[0]).total_seconds() for visit in truth.visits if visit.last]
    visitors = {visit.visitor for visit in truth.visits}
    expected = {
        "visitors": len(visitors),
        "new_visitors": len(visitors),
        "sessions": len(truth.visits),
        "views": len(truth.views),
        "bounce_rate": round(len(truth.bounces) / len(truth.visits), 4),
        "views_per_session": round(len(truth.views) / len(truth.visits), 2),
    }
    assert len(truth.visits) > 60
    assert {name: report[name] for name in expected} == expected
    assert report["session_seconds"]["median"] == pytest.approx(median(seconds), abs=1)
    assert report["session_seconds"]["mean"] == pytest.approx(mean(seconds), abs=1)
    for name in ("views", "views_recorded"):
        assert report["share"][name] == truth.total(name)


@pytest.mark.parametrize("figure", LISTS)
def test_list_has_what_the_visitors_did(figure: str, played: Played) -> None:
    truth, report = played
    names, numbers, count = LISTS[figure]
    assert read_rows(report, figure, names, numbers) == count(truth)


def test_days_are_those_of_tokyo(played: Played) -> None:
    truth, report = played
    views = count_by((time.date(), visit.visitor) for visit, _, time in truth.views)
    sessions = Counter(visit.times[0].date() for visit in truth.visits)
    expected = [
        {
            "day": day.isoformat(),
            "visitors": views.get(day, (0, 0))[1],
            "sessions": sessions[day],
            "views": views.get(day, (0, 0))[0],
            "all_views_recorded": truth.counted[day, "views_recorded"],
            "all_views": truth.counted[day, "views"],
        }
        for day in PLAYED
    ]
    # A day without any count is not told from one whose counts were lost.
    assert [{name: number or 0 for name, number in row.items()} for row in report["by_day"]] == expected


def test_events_and_goals_are_those_that_the_visitors_reached(played: Played) -> None:
    truth, report = played
    buyers = {visitor for _, visitor in truth.orders}
    assert read_rows(report, "events", "event", "events visitors")["order"] == (len(truth.orders), len(buyers))
    (price,) = report["properties"]
    assert (price["events"], price["sum"]) == (len(truth.orders), sum(event["price"] for event, _ in truth.orders))
    (goal,) = report["goals"]
    visitors = {visit.visitor for visit in truth.reached}
    assert (goal["sessions"], goal["visitors"]) == (len(truth.reached), len(visitors))
    ways = Counter(visit.source[0] or "(direct)" for visit in truth.reached)
    all_ways = Counter(visit.source[0] or "(direct)" for visit in truth.visits)
    found = read_rows(goal, "by_source", "referrer", "reached sessions")
    assert found == {way: (ways[way], sessions) for way, sessions in all_ways.items()}
    first, last = report["funnels"][0]["steps"]
    shopped = [visit for visit in truth.visits if "/shop" in visit.pages]
    bought = [visit for visit in shopped if "/thanks" in visit.pages[visit.pages.index("/shop") :]]
    assert (first["sessions"], last["sessions"]) == (len(shopped), len(bought))


def test_weeks_are_those_in_which_visitors_came_again(played: Played) -> None:
    truth, report = played
    weeks: dict[int, set[date]] = defaultdict(set)
    for visit, _, seen_at in truth.views:
        weeks[visit.visitor].add(seen_at.date() - timedelta(days=seen_at.weekday()))
    expected: Counter[tuple[str, int]] = Counter()
    for seen in weeks.values():
        expected.update((min(seen).isoformat(), (week - min(seen)).days // 7) for week in seen)
    found = {
        (row["week"], int(name.removeprefix("week_"))): people
        for row in report["retention"]
        for name, people in row.items()
        if name.startswith("week_") and people
    }
    found |= {(row["week"], 0): row["visitors"] for row in report["retention"]}
    assert found == expected


def test_answers_are_those_that_the_visitors_gave(played: Played) -> None:
    truth, report = played
    for name in ("asked", "asked_first", "granted", "refused", "partial", "withdrawn"):
        assert report["consent"][name] == truth.total(name), name
    for row in report["consent_by_day"]:
        for name in ("asked", "granted", "refused", "partial", "withdrawn"):
            assert row[name] == truth.counted[date.fromisoformat(row["day"]), name], (row["day"], name)
    (host,) = report["consent_by_host"]
    assert (host["asked"], host["granted"]) == (truth.total("asked"), truth.total("granted"))


def test_tables_for_analysts_have_what_the_visitors_did(site: tuple[Truth, Path]) -> None:
    truth, log = site
    assert main(["compact", "--access-log", str(log)]) == GOOD
    with duckdb.connect(log.with_suffix(".duckdb"), read_only=True) as tables:
        pages = tables.sql("SELECT path, count(*), count(DISTINCT visitor) FROM views WHERE viewed GROUP BY path")
        assert {path: tuple(numbers) for path, *numbers in pages.fetchall()} == LISTS["pages"][2](truth)
        errors = tables.sql("SELECT path, status, count(*) FROM views WHERE NOT viewed GROUP BY path, status")
        missing = sum(len(visit.missing) for visit in truth.visits)
        failed = sum(len(visit.failed) for visit in truth.visits)
        assert sorted(errors.fetchall()) == [("/broken", 500, failed), ("/lost", 404, missing)]
        sessions = tables.sql("SELECT entry_path, exit_path, views, bounced FROM sessions")
        assert Counter(sessions.fetchall()) == Counter(
            (visit.pages[0], visit.pages[-1], len(visit.pages), visit in truth.bounces) for visit in truth.visits
        )
