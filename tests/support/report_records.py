"""Random access records and counts with edge cases of reports.

They have sessions over midnight, pauses of exactly 30 minutes, equal times, campaigns in the middle of a session,
duplicates, missing values and paths that look like SQL.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from cookie_consent.sinks.files.parquet import compact

Record = dict[str, Any]

FIRST, DAYS = date(2026, 11, 1), 5
SECOND, THIRD, LAST = (FIRST + timedelta(days=number) for number in (1, 2, DAYS - 1))
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 11, tzinfo=UTC)
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


def record(minutes: float, path: str = "/", *, at: datetime = NOON, **more: Any) -> Record:
    """Return a view of a page by one visitor, some minutes after noon; `more` replaces fields, with __ for a dot."""
    moment = at + timedelta(minutes=minutes)
    own = {key.replace("__", "."): value for key, value in more.items() if key != "uid"}
    visitor = own.get("visitor.id", "ann")
    return {
        "time": time_text(moment),
        "log.record.uid": more.get("uid", f"{visitor}-{time_text(moment)}-{path}"),
        "record.version": 1,
        "record.kind": "view",
        "http.request.method": "GET",
        "server.address": HOSTS[0],
        "url.path": path,
        "http.response.status_code": 200,
        "duration_ms": 10.0,
        "visitor.id": visitor,
        **own,
    }


def event(minutes: float, name: str, path: str = "/", **more: Any) -> Record:
    """Return an event on a page, some minutes after noon."""
    made = record(minutes, path, record__kind="event", event__name=name, **more)
    made["log.record.uid"] += f"-{name}"
    return {key: value for key, value in made.items() if not key.startswith("http.") and (key in more or value != 10.0)}


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


def write_to_store(access_log: str, records: Sequence[Record], counts: Sequence[Record]) -> None:
    """Write records and counts as a site does."""
    with closing(open_sink(access_log)) as sink:
        for record in records:
            sink.write(line(record))
        for count in counts:
            sink.count(line(count))
        sink.close()
        assert sink.stats()["written"] >= len(records), sink.stats()


def write_files(live: Path, records: Sequence[Record], counts: Sequence[Record]) -> None:
    """Write files of all forms: a day in Parquet, a day compressed, a day closed, the rest in the live file."""
    days = [FIRST + timedelta(days=number) for number in range(DAYS + 1)]
    first, second, third, *later = days
    for log, kept in ((live, records), (counts_path(live), counts)):
        write_days(path_of(log, first, 1, FileFormat.PLAIN), kept, [first])
        compact(live)
        gz = path_of(log, second, 1, FileFormat.GZIP)
        write_days(gz, kept, [second])
        gz.write_bytes(gzip.compress(gz.read_bytes()))
        write_days(path_of(log, third, 1, FileFormat.PLAIN), kept, [third])
        write_days(log, kept, later)
        with log.open("ab") as file:
            file.write(b" " * 80 + b'\n[1]\n"text"\n{"time": 5}\n\xff\xfe\n' + line(kept[0])[:40])


def write_days(path: Path, records: Sequence[Record], days: Collection[date]) -> None:
    """Write the records of some days to a file."""
    path.write_bytes(b"".join(line(record) for record in records if day_of(record) in days))


RECORDS, COUNTS = random_records(seed=5, visitors=60), random_counts(seed=5)
