"""A report as `cookie_consent.report.report` returns it, of a small registry's site in November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from cookie_consent.report.figures import LISTS

FIRST, DAYS = date(2026, 11, 1), 25
_COMPARED = {figure.name for figure in LISTS}
_ASKED = ("asked", "granted", "refused", "partial", "unanswered", "withdrawn", "changed", "signal")


def sample_report(**changes: Any) -> dict[str, Any]:
    """Return the report; the keyword arguments replace its figures."""
    days = [(FIRST + timedelta(number)).isoformat() for number in range(DAYS)]
    views = [_wave(number) for number in range(DAYS)]
    by_day: list[dict[str, Any]] = [
        {
            "day": day,
            "visitors": seen // 7,
            "sessions": seen // 6,
            "views": seen,
            "all_views_recorded": seen,
            "all_views": seen * 9 // 4 + 12,
        }
        for day, seen in zip(days, views, strict=True)
    ]
    visitors, sessions, seen, everything = (
        sum(day[key] for day in by_day) for key in ("visitors", "sessions", "views", "all_views")
    )
    consent = [{"day": day["day"], **_of_day(_answers(day["all_views"] // 5))} for day in by_day]
    report: dict[str, Any] = {
        **{figure.name: [] for figure in LISTS if not figure.of_goal},
        "range": {
            "from": days[0],
            "to": days[-1],
            "host": None,
            "time_zone": "UTC",
            "where": [],
            "step": "day",
            "generated_at": "2026-11-25T14:02:11.042Z",
        },
        "visitors": visitors,
        "new_visitors": visitors - 311,
        "returning_visitors": 311,
        "sessions": sessions,
        "views": seen,
        "bounce_rate": 0.413,
        "views_per_session": seen / sessions,
        "session_seconds": {"median": 74.0, "mean": 130.2},
        "share": {"views_recorded": seen, "views": everything, "share": seen / everything},
        "by_day": by_day,
        "by_step": [_step(row) for row in changes.get("by_day", by_day)],
        "by_hour": [{"hour": hour, "views": _hour(hour), "sessions": _hour(hour) // 5} for hour in range(24)],
        "pages": _rows(("path", "views", "visitors", "median_seconds"), _PAGES),
        "entry_pages": _rows(("path", "sessions", "bounces", "bounce_rate"), _ENTRIES),
        "exit_pages": _rows(("path", "sessions"), [("/names", 903), ("/whois", 702), ("/", 402), ("/offices", 164)]),
        "next_pages": _rows(
            ("path", "next", "times", "visitors"), [("/", "/names", 820, 511), ("/names", "/whois", 402, 318)]
        ),
        "hosts": _rows(
            ("host", "visitors", "views"), [("registry.example", 1960, 13_880), ("shop.registry.example", 140, 676)]
        ),
        "referrers": _rows(("referrer", "sessions", "visitors"), _REFERRERS),
        "channels": _rows(("channel", "sessions", "visitors"), _CHANNELS),
        "campaigns": _rows(("source", "medium", "campaign", "sessions", "visitors"), _CAMPAIGNS),
        "devices": _rows(("device", "visitors", "views"), _DEVICES),
        "browsers": _rows(("browser", "visitors", "views"), _BROWSERS),
        "systems": _rows(("os", "visitors", "views"), _SYSTEMS),
        "countries": _rows(
            ("country", "visitors", "views"), [("JP", 1210, 4102), ("US", 205, 611), ("(other)", 31, 70)]
        ),
        "routes": _rows(
            ("method", "route", "requests", "2xx", "3xx", "4xx", "5xx", "p50_ms", "p95_ms", "p99_ms"), _ROUTES
        ),
        "missing": _rows(("path", "source", "requests", "visitors"), _MISSING),
        "failing_pages": _rows(("path", "requests", "visitors"), [("/whois", 21, 17), ("/names", 6, 6)]),
        "slow_pages": _rows(
            ("path", "p95_ms", "p50_ms", "requests"), [("/whois", 812.4, 96.1, 3120), ("/", 41.0, 8.2, 5210)]
        ),
        "events": _rows(("event", "events", "visitors"), [("search", 812, 401), ("download.zone-file", 96, 55)]),
        "properties": _rows(
            ("event", "property", "events", "visitors", "sum", "mean", "p50", "p95"),
            [
                ("order", "price", 61, 58, 183_000.0, 3000.0, 2400.0, 9800.5),
                ("(other)", "", 9, 8, None, None, None, None),
            ],
        ),
        "property_values": _rows(
            ("event", "property", "value", "events", "visitors"),
            [("order", "plan", "basic", 41, 40), ("order", "plan", "pro", 20, 18)],
        ),
        "goals": [
            _goal(
                "order", (88, 80, 0.0332), [("(direct)", 51, 1210, 0.0421), ("https://www.google.com", 30, 611, 0.0491)]
            ),
            _goal("rare", (None, None, None), []),
        ],
        "funnels": [
            {
                "funnel": "buy",
                "steps": _rows(
                    ("step", "sessions", "visitors", "lost_sessions", "lost_visitors", "conversion"),
                    [("/names*", 903, 640, None, None, 1.0), ("goal:order", 88, 102, 815, 538, 0.0975)],
                ),
            },
        ],
        "downloads": _rows(("file", "events", "visitors"), [("/files/report.pdf", 61, 50)]),
        "outbound": _rows(("to", "events", "visitors"), [("https://partner.example/terms", 44, 39)]),
        "failed_arrivals": _rows(
            ("path", "source", "status", "visits"),
            [("/old-prices", "https://news.example", "404", 22), ("(other)", "(other)", "404", 9)],
        ),
        "degraded": _rows(("feature", "views"), [("map", 310), ("recommendations", 288), ("tour", 41)]),
        "retention": _rows(("week", "visitors", "week_1", "week_2", "week_3"), _RETENTION),
        "consent": _in_full(_sum(consent)),
        "consent_by_day": consent,
        "consent_by_host": [
            {"host": "registry.example", **_answers(4200)},
            {"host": "shop.registry.example", **_answers(900)},
        ],
        "consent_by_language": [
            {"language": language, **{name: value for name, value in _answers(asked).items() if name != "signal"}}
            for language, asked in (("ja", 3600), ("en", 1500))
        ],
        **{f"consent_by_{thing}": _by(thing, rows) for thing, rows in _THINGS.items()},
        "compare": None,
        "small_groups": {"threshold": 5, "merged": 17, "withheld": False},
        "unreadable_files": [],
        "unreadable_lines": [],
    }
    return report | changes


def compared_report(**changes: Any) -> dict[str, Any]:
    """Return the report with a comparison to the days before."""
    now = sample_report()
    by_step = [
        {**row, "from": (FIRST + timedelta(number - DAYS)).isoformat(), "views": row["views"] * 9 // 10 + number}
        for number, row in enumerate(reversed(now["by_step"]))
    ]
    before = {
        "range": {"from": "2026-10-07", "to": "2026-10-31", "to_time": None},
        "recorded_from": "2026-10-07",
        "visitors": 1650,
        "new_visitors": 1400,
        "returning_visitors": 250,
        "sessions": 2171,
        "views": 11000,
        "bounce_rate": 0.44,
        "views_per_session": 5.07,
        "session_seconds": {"median": 61.0, "mean": 118.0},
        "share": {"views_recorded": 11000, "views": 27500, "share": 0.4},
        "consent": _in_full(_answers(5000)),
    }
    lists = {name: _with_before(rows) for name, rows in now.items() if isinstance(rows, list) and name in _COMPARED}
    return sample_report(compare={**before, "by_step": by_step}) | lists | changes


def _step(day: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a day as those of a step."""
    return {"from": day["day"], **{key: value for key, value in day.items() if key != "day"}}


def _with_before(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with a number of the days before: a little more and a little less in turn, and none for some."""
    numbers = [next(value for value in row.values() if isinstance(value, int | float)) for row in rows]
    before = [None if place % 5 == 4 else size * (11 - place % 3) // 10 for place, size in enumerate(numbers)]
    return [{**row, "before": size} for row, size in zip(rows, before, strict=True)]


def empty_report(**changes: Any) -> dict[str, Any]:
    """Return the report of two days on which nothing was recorded or counted."""
    nobody = dict.fromkeys(_ASKED, 0)
    days = ["2026-11-24", "2026-11-25"]
    full = sample_report()
    lists: dict[str, Any] = {key: [] for key, value in full.items() if isinstance(value, list)}
    nothing = {
        "range": {**full["range"], "from": days[0], "to": days[-1]},
        "visitors": 0,
        "new_visitors": 0,
        "returning_visitors": 0,
        "sessions": 0,
        "views": 0,
        "bounce_rate": None,
        "views_per_session": None,
        "session_seconds": {"median": None, "mean": None},
        "share": {"views_recorded": None, "views": None, "share": None},
        "by_day": [
            {"day": day, "visitors": 0, "sessions": 0, "views": 0, "all_views_recorded": None, "all_views": None}
            for day in days
        ],
        "by_step": [],
        "by_hour": [{"hour": hour, "views": 0, "sessions": 0} for hour in range(24)],
        "consent": _in_full(nobody),
        "consent_by_day": [{"day": day, **_of_day(nobody)} for day in days],
        "small_groups": {"threshold": 5, "merged": 0, "withheld": False},
    }
    return full | lists | nothing | changes


def _wave(number: int) -> int:
    """Return the views of a day: fewer at weekends, more after a press release on the 17th."""
    weekend = (FIRST + timedelta(number)).weekday() > 4
    return (240 if weekend else 560) + number * 5 + (37 * number) % 71 + (420 if number == 16 else 0)


def _hour(hour: int) -> int:
    return 60 + 55 * min(hour, 26 - hour) if hour > 5 else 90 - 12 * hour


def _answers(asked: int) -> dict[str, int]:
    granted, refused, partial = asked * 43 // 100, asked * 31 // 100, asked * 5 // 100
    return dict(
        zip(
            _ASKED,
            (asked, granted, refused, partial, asked - granted - refused - partial, asked // 120, 0, asked // 14),
            strict=True,
        )
    )


def _of_day(answers: dict[str, int]) -> dict[str, Any]:
    """Return the figures of consent of a day."""
    answered = answers["granted"] + answers["refused"] + answers["partial"]
    shares = {f"{name}_of_answers": answers[name] / answered if answered else None for name in ("granted", "refused")}
    return {**answers, **shares}


def _in_full(answers: dict[str, int]) -> dict[str, Any]:
    """Return the figures of consent of a whole range."""
    asked, granted = answers["asked"], answers["granted"]
    answered, first = granted + answers["refused"] + answers["partial"], asked // 2 + asked // 3
    more = {"asked_first": first, "answered_first": answered // 2, "settings": asked // 40}
    return {
        **answers,
        **more,
        "ignored": max(0, first - answered),
        "granted_of_answers": granted / answered if answered else None,
        "granted_of_questions": granted / asked if asked else None,
    }


def _by(thing: str, rows: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return the figures of consent by one thing."""
    names = ["asked", "granted", "refused", "withdrawn", "changed"]
    names = names if thing == "purpose" else ["asked", "asked_first", "granted", "refused", "partial", "changed"]
    full = ((name, _in_full(_answers(asked))) for name, asked in rows)
    if thing == "device":
        names = ["asked", "asked_first", "granted", "changed", "granted_of_questions"]
        return [{thing: name, **{key: row[key] for key in names}} for name, row in full]
    return [
        {thing: name, **{key: row[key] for key in (*names, "unanswered", "granted_of_answers")}} for name, row in full
    ]


_THINGS = {
    "purpose": [("analytics", 5100), ("media", 5000)],
    "policy": [("a975ae3f54630d2c", 5100)],
    "device": [("mobile", 2900), ("pc", 1900), ("tablet", 300)],
    "prefix": [("/", 2100), ("/names", 1500), ("/whois", 1100), ("(other)", 400)],
}


def _sum(days: list[dict[str, Any]]) -> dict[str, int]:
    return {key: sum(day[key] for day in days) for key in _ASKED}


def _goal(name: str, reached: tuple[Any, ...], by_source: list[tuple[Any, ...]]) -> Mapping[str, Any]:
    return {
        "goal": name,
        **dict(zip(("sessions", "visitors", "conversion"), reached, strict=True)),
        "by_step": [{"from": "2026-11-01", "reached": 12, "sessions": 90, "conversion": 0.1333}] if by_source else [],
        "by_source": _rows(("referrer", "reached", "sessions", "conversion"), by_source),
        "by_campaign": [],
        "by_entry_page": [],
    }


def _rows(keys: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[Mapping[str, Any]]:
    return [dict(zip(keys, row, strict=True)) for row in rows]


_PAGES: list[tuple[Any, ...]] = [
    ("/", 3920, 1502, 12.4),
    ("/names", 3105, 1120, 48.0),
    ("/whois", 2411, 980, 31.5),
    ("/offices", 902, 510, 64.2),
    ("/tour", 611, 402, 95.0),
    ("/whois/terms", 540, 377, None),
    ("/account", 402, 190, 22.0),
    ("/news/2026/11/a-name-in-your-own-script-is-now-as-short-as-you-like", 388, 301, 120.4),
    ("/ドメイン名/よくある質問", 301, 244, 75.0),
    ("/names/transfer", 211, 150, 80.1),
    ("/names/renew", 180, 122, 41.0),
    ("/contact", 92, 80, 33.0),
    ("(other)", 121, 60, None),
]
_REFERRERS: list[tuple[Any, ...]] = [
    ("(direct)", 1210, 902),
    ("https://www.google.com", 611, 540),
    ("https://news.example", 204, 190),
    ("https://duckduckgo.com", 88, 80),
    ("(other)", 58, 44),
]
_CAMPAIGNS: list[tuple[Any, ...]] = [
    ("newsletter", "email", "november", 240, 198),
    ("partner.example", "banner", None, 61, 57),
    ("(other)", "", "", 14, 12),
]
_ROUTES: list[tuple[Any, ...]] = [
    ("GET", "/", 4310, 3920, 390, 0, 0, 4.2, 12.0, 31.0),
    ("GET", "/names", 3300, 3105, 180, 12, 3, 18.0, 64.0, 180.4),
    ("GET", "/whois", 2602, 2411, 101, 90, 0, 22.1, 140.0, 412.0),
    ("GET", "/static/{path:path}", 2210, 1400, 810, 0, 0, 0.8, 2.1, 4.0),
    ("POST", "/account", 402, 0, 390, 12, 0, 31.0, 71.0, 90.0),
    ("GET", "(no route)", 190, 0, 0, 188, 2, None, None, None),
]
_ENTRIES: list[tuple[Any, ...]] = [("/", 1320, 402, 0.3045), ("/whois", 611, 388, 0.635), ("/names", 240, 75, 0.3125)]
_CHANNELS: list[tuple[Any, ...]] = [("direct", 1102, 820), ("search", 611, 540), ("other site", 301, 288)]
_RETENTION: list[tuple[Any, ...]] = [
    ("2026-11-02", 510, 66, 31, None),
    ("2026-11-09", 402, 41, None, None),
    ("2026-11-16", 388, 0, None, None),
    ("2026-11-23", 142, None, None, None),
]
_MISSING: list[tuple[Any, ...]] = [
    ("/names/old", "https://directory.example", 44, 31),
    ("/office", "/offices", 12, 9),
    ("(other)", "", 18, 11),
]
_DEVICES: list[tuple[Any, ...]] = [("mobile", 960, 6210), ("pc", 801, 5932), ("tablet", 92, 611), ("other", 6, 19)]
_BROWSERS: list[tuple[Any, ...]] = [
    ("Chrome", 903, 6200),
    ("Mobile Safari", 520, 3330),
    ("Firefox", 241, 1980),
    ("Edge", 190, 1200),
    ("(other)", 11, 62),
]
_SYSTEMS: list[tuple[Any, ...]] = [
    ("Windows", 602, 4100),
    ("iOS", 540, 3400),
    ("Android", 420, 2810),
    ("Mac OS X", 280, 2372),
    ("(other)", 17, 90),
]
