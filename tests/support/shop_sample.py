"""The access records and counts of a made-up shop in November 2026 and November 2025, always the same.

The docs ask them an analyst's questions. The shop is visited from Japan. It has a campaign by mail and one in a search
engine, old links on other sites, and an event `signup` with the plan and its price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from cookie_consent.sinks.files.closed_files import counts_path
from tests.support.report_records import Record, line, time_text

HOST = "shop.example"
JAPAN = timedelta(hours=9)
_YEARS = ((date(2026, 11, 2), 420), (date(2025, 11, 3), 260))
"""The first day of four weeks, and the number of new visitors in them."""
_AGENTS = (("Chrome", "Windows", "pc"), ("Mobile Safari", "iOS", "mobile"), ("Chrome Mobile", "Android", "mobile"))
_NEXT = {
    "/": ("/prices", "/prices", "/guide", ""),
    "/guide": ("/prices", "/", "", ""),
    "/prices": ("/cart", "/cart", "/guide", "/compare", ""),
    "/compare": ("/prices", ""),
    "/cart": ("/checkout", "/checkout", "/prices", "", ""),
    "/checkout": ("/thanks", "/thanks", "/thanks", "", ""),
}
"""A page -> the pages that may follow; "" for the end of the visit."""
_LETTER = "utm_source=letter&utm_medium=email&utm_campaign=autumn"
_SEARCH_AD = "utm_source=google&utm_medium=cpc&utm_campaign=brand"
_ARRIVALS = (
    (30, "/", "", ""),
    (22, "/guide", "https://www.google.com", ""),
    (14, "/prices", "", _LETTER),
    (12, "/", "https://www.google.com", _SEARCH_AD),
    (8, "/guide", "https://news.example", ""),
    (6, "/old-guide", "https://blog.example", ""),
    (4, "/price-list", "https://forum.example", ""),
    (6, "/prices", "https://www.youtube.com", ""),
)
"""Weight, first page, the site before, and the query."""
_MISSING = ("/old-guide", "/price-list")
_SIGNS_UP = {_LETTER: 0.45, _SEARCH_AD: 0.2, "": 0.15}
"""How the visitor came -> the share of visits to the prices that sign up."""
_PLANS = (("basic", 9), ("basic", 9), ("team", 29), ("pro", 49))
_SIZES = {
    "mobile": {"asked": 640, "asked_first": 410, "granted": 148, "refused": 61, "partial": 12},
    "pc": {"asked": 420, "asked_first": 300, "granted": 121, "refused": 82, "partial": 19},
}
"""Device -> its counts in the four weeks."""


def write(folder: Path) -> Path:
    """Write the records and counts as a site does; return the access log."""
    log = folder / "logs" / "access.jsonl"
    log.parent.mkdir()
    made = records()
    log.write_bytes(b"".join(map(line, made)))
    counts_path(log).write_bytes(b"".join(map(line, counts(made))))
    return log


def records() -> list[Record]:
    """Return the access records, oldest first."""
    random = Random(1102)  # noqa: S311 (records that are the same each time)
    made = [
        record
        for first, visitors in _YEARS
        for number in range(visitors)
        for record in _visitor(random, first, f"{first.year}-{number:03}")
    ]
    made.sort(key=lambda record: record["time"])
    return [{**record, "log.record.uid": f"shopOfTheTests-{number:x}"} for number, record in enumerate(made)]


def counts(of: list[Record]) -> list[Record]:
    """Return the counts, which include visitors who refused."""
    made: list[tuple[str, str, str, int]] = []
    views = Counter(record["time"][:10] for record in of if record["record.kind"] == "view")
    for day, recorded in sorted(views.items()):
        made += [(day, "views_recorded", "", recorded), (day, "views", "", recorded * 7 // 4 + 2)]
    for device, numbers in _SIZES.items():
        for name in ("asked", "asked_first", "granted"):  # not known of those who said no
            made += _over_days(f"{name}_by_device", device, numbers[name])
    for name in _SIZES["pc"]:
        made += _over_days(name, "", sum(numbers[name] for numbers in _SIZES.values()))
    return [_count(number, *count) for number, count in enumerate(made)]


def _over_days(name: str, detail: str, value: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield counts of each day of the four weeks, which add up to a value."""
    first, _ = _YEARS[0]
    for number in range(28):
        day = (first + timedelta(days=number)).isoformat()
        yield day, name, detail, value * (number + 1) // 28 - value * number // 28


def _count(number: int, day: str, name: str, detail: str, value: int) -> Record:
    return {
        "time": f"{day}T00:00:00Z",
        "log.record.uid": f"countOfTheShop-{number:x}",
        "record.version": 1,
        "count.day": day,
        "server.address": HOST,
        "count.name": name,
        **({"count.detail": detail} if detail else {}),
        "count.value": value,
    }


def _visitor(random: Random, first: date, visitor: str) -> Iterator[Record]:
    """Yield the records of a visitor, who comes back in later weeks with a third of a chance."""
    browser, system, device = random.choices(_AGENTS, (5, 4, 3))[0]
    own = {
        "record.version": 1,
        "server.address": HOST,
        "visitor.id": f"shop-visitor-{visitor}",
        "client.address": "203.0.113.0",
        "user_agent.name": browser,
        "user_agent.os": system,
        "user_agent.device": device,
        "consent.policy": "3f1c9a7be2d40586",
    }
    begin = random.randrange(4)
    for week in range(begin, 4):
        if week == begin or random.random() < 0.33 - 0.06 * (week - begin):
            day = first + timedelta(days=7 * week + random.choices(range(7), (6, 5, 5, 5, 5, 2, 2))[0])
            hour = random.choices((8, 9, 12, 15, 20, 21, 22), (3, 4, 7, 3, 5, 9, 4))[0]
            local = datetime(day.year, day.month, day.day, hour, random.randrange(60), tzinfo=UTC)
            yield from _visit(random, own, local - JAPAN)


def _visit(random: Random, own: Record, moment: datetime) -> Iterator[Record]:
    _, page, came_from, query = random.choices(_ARRIVALS, [arrival[0] for arrival in _ARRIVALS])[0]
    chance = _SIGNS_UP[query]
    while page:
        found = page not in _MISSING
        yield {
            **_record(own, moment, "view" if found else "request", page),
            **({"http.request.referrer": came_from} if came_from else {}),
            **({"url.query": query} if query else {}),
            **({"http.route": page} if found else {}),
            "http.request.method": "GET",
            "http.response.status_code": 200 if found else 404,
            "duration_ms": round(random.expovariate(1 / 30) + 4, 3),
        }
        moment += timedelta(seconds=round(random.expovariate(1 / 45) + 3))
        if page == "/prices" and random.random() < chance:
            plan, price = random.choice(_PLANS)
            properties = {"event.name": "signup", "event.properties": {"plan": plan, "price": price}}
            yield {**_record(own, moment, "event", page), **properties}
            chance = 0.0
        came_from, query = f"https://{HOST}{page}", ""
        page = random.choice(_NEXT[page]) if page in _NEXT else random.choice(("/", "")) if not found else ""


def _record(own: Record, moment: datetime, kind: str, path: str) -> Record:
    return {"time": time_text(moment), **own, "record.kind": kind, "url.path": path}
