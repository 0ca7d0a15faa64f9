"""Random access records and counts with edge cases of reports.

They have sessions over midnight, pauses of exactly 30 minutes, equal times, campaigns in the middle of a session,
duplicates, missing values and paths that look like SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from cookie_consent.report import compute, figures

Record = dict[str, Any]

FIRST, DAYS = date(2026, 11, 1), 5
HOSTS = ("site.example", "shop.example", "münchen.example")
PATHS = (
    "/", "/a", "/a/b", "/a/%2e", "/訪問", "/'; DROP TABLE access_records; --", '/"quoted"\\n', "/{since:Int64}",
    "/$path", "/%(path)s", "/(other)", "/🙂", "/a\u202eb",
)  # fmt: skip
ROUTES = ("/{page}", "/static/{file}", None)
CAMPAIGNS = (
    ("letter", "mail", "one"),
    ("letter", "mail", "two"),
    ("=cmd()", "", "a&b=c d"),
    ("list", "E-Mail", ""),
    ("(other)", "x", "ü"),
)
NAMES = (
    "asked",
    "granted",
    "refused",
    "partial",
    "withdrawn",
    "changed",
    "signal",
    "views",
    "views_recorded",
    "degraded",
)
LANGUAGES = ("en", "ja")
_OF_QUESTIONS = ("asked_first", "partial")


def line(record: Record) -> bytes:
    """Return the line of a record."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def time_text(moment: datetime) -> str:
    """Return a time in the format of records."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def time_of(record: Record) -> datetime:
    """Return the time of a record."""
    return datetime.fromisoformat(record["time"])


def day_of(record: Record) -> date:
    """Return the day of a record (UTC)."""
    return date.fromisoformat(record["time"][:10])


def page_view(visitor: str, moment: datetime) -> Record:
    """Return the record of a page that a visitor saw."""
    return {
        "time": time_text(moment), "log.record.uid": f"{visitor}-{time_text(moment)}", "record.version": 1,
        "record.kind": "view", "visitor.id": visitor, "server.address": HOSTS[0], "url.path": "/",
        "http.request.method": "GET", "http.response.status_code": 200, "duration_ms": 1.0,
    }  # fmt: skip


def random_records(seed: int, visitors: int = 30) -> list[Record]:
    """Return the records of some days, in random order."""
    random = Random(seed)  # noqa: S311 (records that are the same each time)
    made: list[Record] = []
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    for number in range(visitors):
        own = _visitor(random, number)
        for _ in range(random.randint(1, 4)):
            moment = start + timedelta(milliseconds=random.randrange(DAYS * 86_400_000))
            if random.random() < 0.3:  # just before midnight
                moment = moment.replace(hour=23, minute=random.choice((30, 50, 59)))
            made += _visit(random, own, moment, len(made))
    for number, record in enumerate(made):
        if "event.properties" in record:
            record["event.properties"] = _properties(Random(number))  # noqa: S311
    made += [dict(record) for record in random.sample(made, len(made) // 20)]  # written twice
    random.shuffle(made)
    return made


def _visitor(random: Random, number: int) -> Record:
    own: Record = {"record.version": 1, "visitor.id": f"visitor-{number:04}-{random.randrange(10**9)}"}
    own["server.address"] = random.choice(HOSTS)
    # Not from `random`, so that all other values stay as they are.
    if country := (None, "JP", "JP", "DE", "XK", None, "JP")[number % 7]:
        own["client.geo.country.iso_code"] = country
    agent = {
        "user_agent.name": random.choice(("Firefox", "Chrome", "Netscape")),
        "user_agent.os": random.choice(("Linux", "Windows")),
        "user_agent.device": random.choice(("pc", "mobile", "tablet")),
    }
    return own | {key: value for key, value in agent.items() if random.random() < 0.95}


def _visit(random: Random, own: Record, moment: datetime, number: int) -> list[Record]:
    made = []
    for step in range(random.randint(1, 9)):
        record = {"time": time_text(moment), "log.record.uid": f"Uid_{random.randrange(100)}-{number + step:x}", **own}
        if random.random() < 0.1:
            record["server.address"] = random.choice(HOSTS)
        made.append(record | _what(random, record["server.address"]))
        pause = random.choice((0, 0.001, 5, 60, 600, 1799, 1800, 1800.001, 1801, 3000))
        moment = (moment + timedelta(seconds=pause)).replace(microsecond=moment.microsecond)
    return made


def _what(random: Random, host: str) -> Record:
    path = random.choice(PATHS) if random.random() < 0.8 else f"/rare/{random.randrange(100)}"
    kind = random.choice(("view", "view", "view", "request", "event"))
    what: Record = {"record.kind": kind, "url.path": path}
    if kind == "event":
        what |= _event(random, host)
    else:
        what["http.request.method"] = random.choice(("GET", "GET", "POST"))
        status = random.choice((101, 200, 200, 201, 304, 404, 500))
        what["http.response.status_code"] = status
        what["record.kind"] = kind if status < 400 else "request"
        what["duration_ms"] = round(random.expovariate(1 / 80), 3) if random.random() < 0.95 else 1_900_000.5
        route = random.choice(ROUTES)
        what |= {"http.route": route} if route else {}
        what |= {"http.request.referrer": _referrer(random, host)} if random.random() < 0.6 else {}
    if random.random() < 0.25:
        source, medium, name = random.choice(CAMPAIGNS)
        parts = {"utm_source": source, "utm_medium": medium, "utm_campaign": name, "utm_term": "x"}
        what["url.query"] = urlencode([(key, value) for key, value in parts.items() if value])
    elif random.random() < 0.1:
        what["url.query"] = ("utm_term=only", "gclid=", "utm_term=x&msclkid=")[len(path) % 3]
    if random.random() < 0.05 and kind == "event":
        what["consent.purpose"] = "audience"
    return what


def _event(random: Random, host: str) -> Record:
    event: Record = {
        "event.name": random.choice(("page_leave", "page_leave", "page_view", "download", "outbound", "sign_up"))
    }
    if event["event.name"] == "page_leave":
        event["duration_ms"] = float(random.choice((1500, 60_000, 2_400_000)))
    if event["event.name"] == "page_view" and random.random() < 0.5:  # as on the page where tracing was allowed
        event["http.request.referrer"] = _referrer(random, host)
    if random.random() < 0.5:
        event["event.properties"] = {"key": 'a "value"', "number": 1.5, "yes": True}
    return event


def _properties(random: Random) -> Record:
    properties: Record = {
        "plan": random.choice(("basic", "pro", 'a "value"', "訪問\\n", "", "true", "{}", "🙂")),
        "price": random.choice((9.99, 120, -5, 0, 0.001, 1e9, 1.7e308)),
        "paid": random.random() < 0.5,
        "a key": random.choice(("5", 5, 5.5, "[1]")),
        "訪": "x",
        "file": random.choice(("/a.pdf", "/訪問.zip", "https://files.example/a.zip", 5)),
        "to": random.choice(("https://partner.example/", "https://partner.example/a?", False)),
    }
    return {key: value for key, value in properties.items() if random.random() < 0.7}


def _referrer(random: Random, host: str) -> str:
    return random.choice(
        (
            f"https://{host}/a", f"https://{host}:8443", f"https://www.{host}", "https://other.example",
            "https://www.other.example", "http://news.example:81",
            "https://www.google.co.jp", "https://google.evil.example", "https://l.facebook.com", "https://mail.google.com",
        )
    )  # fmt: skip


def random_counts(seed: int) -> list[Record]:
    """Return the counts of some days, without the last day."""
    random = Random(seed)  # noqa: S311
    made: list[Record] = []
    for number in range(300):
        name = random.choice(NAMES)
        day = FIRST + timedelta(days=random.randrange(DAYS - 1))
        made.append(
            {
                "time": f"{day}T{random.randrange(24):02}:00:00Z",
                "log.record.uid": f"count-{number}",
                "record.version": 1,
                "count.day": day.isoformat(),
                "server.address": random.choice((*HOSTS, f"rare-{random.randrange(5)}.example")),
                "consent.language": random.choice(LANGUAGES),
                "count.name": name,
                **({"count.detail": random.choice(("map", "shop"))} if name == "degraded" else {}),
                "count.value": random.randint(1, 9 if name != "views" else 30),
            }
        )
    for number, path in enumerate(("/old", "/一覧 と/x", "(other)", "/old")):
        for host in HOSTS:
            moment = f"{FIRST + timedelta(days=number)}T{5 * number:02}:00:00Z"
            made.append(
                {
                    "time": moment,
                    "log.record.uid": f"error-{number}-{host}",
                    "record.version": 1,
                    "count.day": moment[:10],
                    "server.address": host,
                    "count.name": "arrived_on_error",
                    "count.detail": f"{404 + number % 2} https://news.example {path}",
                    "count.value": 3 + number,
                }
            )
    made += _counts_of_consent(Random(seed + 1))  # noqa: S311
    return made + made[::40]


def _counts_of_consent(random: Random) -> list[Record]:
    """Return counts of first questions, and of questions and answers by one thing."""
    details = {
        "purpose": ("media", "analytics"),
        "policy": ("a975ae3f54630d2c", "0123456789abcdef"),
        "device": ("mobile", "tablet", "pc"),
        "prefix": ("/", "/docs", "/事務所", "(other)", *(f"/rare{number}" for number in range(4))),
    }
    made: list[Record] = []
    for number in range(500):
        thing, values = random.choice([*details.items()])
        names = ("asked", "granted", "refused", "changed", *(("withdrawn",) if thing == "purpose" else _OF_QUESTIONS))
        name, detail = random.choice(names), random.choice(values)
        counted = {"count.name": f"{name}_by_{thing}", "count.detail": detail}
        if number % 10 == 0:
            counted = {"count.name": random.choice(("asked_first", "answered_first", "settings"))}
        day = FIRST + timedelta(days=random.randrange(DAYS - 1))
        made.append(
            {
                "time": f"{day}T{random.randrange(24):02}:00:00Z",
                "log.record.uid": f"consent-{number}",
                "record.version": 1,
                "count.day": day.isoformat(),
                "server.address": random.choice(HOSTS),
                **counted,
                "count.value": random.randint(1, 3 if detail.startswith("/rare") else 9),
            }
        )
    return made


ALL_LISTS = " ".join(figure.name for figure in figures.LISTS)


@contextmanager
def few_lists(names: str = "") -> Iterator[None]:
    """Of the lists of a report, which take most of its time, compute only those named."""
    with patch.object(compute, "LISTS", [figure for figure in figures.LISTS if figure.name in names.split()]):
        yield
