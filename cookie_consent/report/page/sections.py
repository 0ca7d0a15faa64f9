"""The sections of the report page, and the figures in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cookie_consent.report.figures import BY_NAME, rows_of
from cookie_consent.report.page.consent import consent_figures, consent_note
from cookie_consent.report.page.figures import Cells, Figure, Line, marked, over_time, ranked, stacked
from cookie_consent.report.page.formatting import (
    count,
    day,
    days,
    milliseconds,
    number,
    percent,
    seconds,
    visible,
)
from cookie_consent.texts.locales import country_name, is_country

_EVENTS = ("Events", lambda row: count(row["events"]))
_CONVERSION = ("Conversion", lambda row: percent(row["conversion"]))
_REACHED = ("Reached it", lambda row: count(row["reached"]))

_MEASURES = {"Sum": "sum", "Mean": "mean", "p50": "p50", "p95": "p95"}


def goal_figures(report: Mapping[str, Any]) -> list[Figure]:
    """Return the goals, where sessions that reached each came from, and the funnels; nothing without any.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    goal = ("Goal", lambda row: visible(row["goal"]))
    site = ("Site", lambda row: visible(row["referrer"]))
    rows = _counted(rows_of(report, BY_NAME["goals"]))
    return [
        *([ranked("goals", "Goals", rows, "sessions", [goal, _SESSIONS, _VISITORS, _CONVERSION])] if rows else []),
        *(
            ranked(
                f"goal-{number}", f"{visible(row['goal'])}, by site that led here", by_source, "reached",
                [site, _REACHED, _SESSIONS, _CONVERSION],
            )
            for number, row in enumerate(report["goals"])
            if (by_source := _counted(row["by_source"], "reached"))
        ),
        *(_funnel(number, row) for number, row in enumerate(report["funnels"])),
    ]  # fmt: skip


def _funnel(number: int, row: Line) -> Figure:
    step = ("Step", lambda row: visible(row["step"]))
    lost = ("Lost since the step before", lambda row: count(row["lost_sessions"]))
    return ranked(
        f"funnel-{number}", f"Funnel {visible(row['funnel'])}, by sessions", _counted(row["steps"]), "sessions",
        [step, _SESSIONS, lost, ("Of the first step", lambda row: percent(row["conversion"])), _VISITORS],
    )  # fmt: skip


def _counted(rows: Sequence[Line], by: str = "sessions") -> list[Line]:
    """Return the rows without those of too few visitors, whose numbers are not given."""
    return [row for row in rows if row[by] is not None]


def property_figures(report: Mapping[str, Any]) -> list[Figure]:
    """Return what events bring; nothing if they bring nothing.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    name = ("Event: property", lambda row: visible(": ".join(filter(None, (row["event"], row["property"])))))
    value = ("Event: property = value", lambda row: visible(_with_value(row)))
    measures = [(head, _measure(key)) for head, key in _MEASURES.items()]
    numbers = [name, _EVENTS, _VISITORS, *measures]
    figures = [
        ranked("properties", "Numbers of events", report["properties"], "events", numbers),
        ranked("property-values", "Values of events", report["property_values"], "events", [value, _EVENTS, _VISITORS]),
    ]
    return [figure for figure in figures if figure.chart]


def _measure(key: str) -> Callable[[Line], str]:
    return lambda row: number(row[key])


def _with_value(row: Line) -> str:
    return f"{row['event']}: {row['property']} = {row['value']}" if row["property"] else str(row["event"])


_STATUS = {
    "2xx": ("solid", "2xx, answered"),
    "3xx": ("hatched", "3xx, elsewhere or unchanged"),
    "4xx": ("dotted", "4xx, refused"),
    "5xx": ("strong", "5xx, failed"),
}
_TIMES = {
    "p50_ms": ("dot", "half of the requests took no longer (p50)"),
    "p95_ms": ("ring", "95 % (p95)"),
    "p99_ms": ("bar", "99 % (p99)"),
}
_MOST_WEEKS = 8
"""Weeks after the first one in the table of new visitors: as many as fit. The report itself has all."""
_COMPARED = ("visitors", "sessions", "views")
_SLOW = {name: _TIMES[name] for name in ("p50_ms", "p95_ms")}
_OF_REQUESTS = (
    "All recorded requests, not only pages. “(no route)” is no route of the site: the missing pages explain it."
)
_OF_GOALS = (
    "A session that reached a goal counts once. The steps of a funnel are taken in their order: sessions count what "
    "was done within one session, visitors what was done over all of theirs."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Args:
        id: its id in the page.
        title: its heading.
        figures: the figures in it.
        note: a remark for the reader; "" for none.
        are_broad: whether the figures take half the width at least.
    """

    id: str
    title: str
    figures: Sequence[Figure]
    note: str = ""
    are_broad: bool = False


def sections(report: Mapping[str, Any]) -> list[Section]:
    """Return all sections of the page.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    goals = goal_figures(report)
    return [
        Section("time", "Over time", _over_time(report), are_broad=True),
        Section("content", "Pages", _content(report)),
        Section("sources", "Sources", _sources(report)),
        *([Section("success", "Goals", goals, _OF_GOALS)] if goals else []),
        Section("features", "Events", [*_events(report), *property_figures(report)]),
        Section("return", "New and returning visitors", _coming_back(report)),
        Section("machines", "Devices", _devices(report)),
        *([Section("places", "Countries", _countries(report))] if report["countries"] else []),
        Section("consent", "Consent", _consent(report), consent_note(report)),
        Section("answers", "Errors and speed", _requests(report), _OF_REQUESTS),
    ]


def beside_earlier(report: Mapping[str, Any]) -> tuple[list[Line], str]:
    """Return the steps of a report, each beside the step at the same place of the earlier period, and its days."""
    rows: list[Line] = report["by_step"]
    if not report["compare"]:
        return rows, ""
    earlier = report["compare"]["by_step"]
    beside = [{f"{name}_before": row[name] for name in _COMPARED} for row in earlier[: len(rows)]]
    # A month, or a day on which clocks are set, may have fewer steps than the other.
    beside += [{f"{name}_before": None for name in _COMPARED}] * (len(rows) - len(beside))
    both: list[Line] = [{**row, **before} for row, before in zip(rows, beside, strict=True)]
    return both, days(report["compare"]["range"]["from"], report["compare"]["range"]["to"])


def _over_time(report: Mapping[str, Any]) -> list[Figure]:
    zone, step = report["range"]["time_zone"], report["range"]["step"]
    rows, before = beside_earlier(report)
    counted = {
        "all_views_recorded": ("solid", "Pages with a record"),
        "all_views": ("outline", "All pages that people saw"),
    }
    share = [("Share recorded", lambda row: percent(_share(row["all_views_recorded"], row["all_views"])))]
    shares = over_time("share-by-day", f"All pages by {step}, recorded or not", report["by_step"], counted, share, step)
    hours = {"sessions": ("line", "Sessions"), "views": ("solid", "Views")}
    return [
        *(_by_step(name, rows, before, step) for name in ("views", "sessions")),
        *([] if report["range"]["where"] else [shares]),  # counts know no segments
        over_time("hours", f"Views and sessions by hour of the day ({zone})", report["by_hour"], hours),
    ]


def _by_step(name: str, rows: Sequence[Line], before: str, step: str) -> Figure:
    called = name.capitalize()
    kinds = {name: ("solid", called)} | ({f"{name}_before": ("outline", f"{called}, {before}")} if before else {})
    return over_time(f"{name}-by-day", f"{called} by {step}", rows, kinds, step=step)


def _content(report: Mapping[str, Any]) -> list[Figure]:
    page = ("Page", _text("path"))
    times = ("Median time on it", lambda row: seconds(row["median_seconds"]))
    beside = [("Times", _number("times")), _VISITORS]
    bounces = [
        ("Bounces", _number("bounces")),
        ("Bounce rate", lambda row: percent(_share(row["bounces"], row["sessions"]))),
    ]
    return [
        ranked(
            "pages", "Pages by views", report["pages"], "views",
            [page, ("Views", _number("views")), _VISITORS, times],
        ),
        ranked("entries", "First pages of sessions", report["entry_pages"], "sessions", [page, _SESSIONS, *bounces]),
        ranked("exits", "Last pages of sessions", report["exit_pages"], "sessions", [page, _SESSIONS]),
        ranked(
            "next", "Where visitors went next", report["next_pages"], "times",
            [("Page → next", _beside("→", "next")), *beside],
        ),
        ranked(
            "previous", "Where visitors came from within the site", report["previous_pages"], "times",
            [("Page ← previous", _beside("←", "previous")), *beside],
        ),
    ]  # fmt: skip


def _sources(report: Mapping[str, Any]) -> list[Figure]:
    campaign: Cells = [
        ("Campaign", lambda row: visible(" / ".join(_distinct(row[key] for key in ("source", "medium", "campaign"))))),
        _SESSIONS,
        _VISITORS,
    ]
    return [
        ranked(
            "channels", "Channels", report["channels"], "sessions",
            [("Channel", _text("channel")), _SESSIONS, _VISITORS],
        ),
        ranked(
            "referrers", "Other sites that led here", report["referrers"], "sessions",
            [("Site", _text("referrer")), _SESSIONS, _VISITORS],
        ),
        ranked("campaigns", "Campaigns: source / medium / name", report["campaigns"], "sessions", campaign),
    ]  # fmt: skip


def _coming_back(report: Mapping[str, Any]) -> list[Figure]:
    kinds = [{"name": name, "visitors": report[f"{name.lower()}_visitors"]} for name in ("New", "Returning")]
    cohorts = report["retention"]
    later = [key for key in (cohorts[0] if cohorts else ()) if key.startswith("week_")][:_MOST_WEEKS]
    weeks = [(f"Week {key.removeprefix('week_')}", _came_again(key)) for key in later]
    by_week = ranked(
        "retention", "New visitors by week, and the share that came again", cohorts, "visitors",
        [("Week from", lambda row: day(row["week"])), ("New visitors", _number("visitors")), *weeks],
    )  # fmt: skip
    return [
        ranked(
            "kinds", "New and returning visitors", [kind for kind in kinds if kind["visitors"]], "visitors",
            [("Visitors", _text("name")), ("Number", _number("visitors"))],
        ),
        # The table is the figure: bars have no weeks after.
        replace(by_week, is_wide=True, is_open=True),
    ]  # fmt: skip


def _came_again(key: str) -> Callable[[Line], str]:
    return lambda row: "" if row[key] is None else percent(row[key] / row["visitors"])


def _devices(report: Mapping[str, Any]) -> list[Figure]:
    return [
        ranked(key, title, report[key], "visitors", [(head, _text(name)), _VISITORS, ("Views", _number("views"))])
        for key, title, head, name in (
            ("devices", "Devices", "Device", "device"),
            ("browsers", "Browsers", "Browser", "browser"),
            ("systems", "Operating systems", "System", "os"),
        )
    ]


def _countries(report: Mapping[str, Any]) -> list[Figure]:
    return [
        ranked(
            "countries", "Countries, where they are known", report["countries"], "visitors",
            [("Country", _country), _VISITORS, ("Views", _number("views"))],
        )
    ]  # fmt: skip


def _country(row: Line) -> str:
    code = str(row["country"])
    return country_name(code, "en") if is_country(code) else visible(code)


def _requests(report: Mapping[str, Any]) -> list[Figure]:
    route = ("Route", lambda row: visible(" ".join(_distinct((row["method"], row["route"])))))
    missing = ("Page ← from", _beside("←", "source"))
    requests = ("Requests", _number("requests"))
    times = [(f"p{share}", _time(f"p{share}_ms")) for share in (50, 95, 99)]
    return [
        ranked(
            "missing", "Missing pages (404), and where visitors came from", report["missing"], "requests",
            [missing, requests, _VISITORS],
        ),
        ranked(
            "failing", "Pages that failed (5xx)", report["failing_pages"], "requests",
            [("Page", _text("path")), requests, _VISITORS],
        ),
        marked(
            "slow", "Slow pages", report["slow_pages"], "p95_ms", _SLOW,
            [("Page", _text("path")), requests, *times[:2]],
        ),
        stacked(
            "routes", "Requests by route and status", report["routes"], _STATUS,
            [route, requests, *((status, _number(status)) for status in _STATUS)],
        ),
        marked("latencies", "How long requests took", report["routes"], "p50_ms", _TIMES, [route, requests, *times]),
    ]  # fmt: skip


def _events(report: Mapping[str, Any]) -> list[Figure]:
    return [
        ranked(
            "events", "Events that the site's scripts sent", report["events"], "events",
            [("Event", _text("event")), ("Events", _number("events")), _VISITORS],
        ),
        ranked(
            "downloads", "Downloads", report["downloads"], "events",
            [("File", _text("file")), ("Downloads", _number("events")), _VISITORS],
        ),
        ranked(
            "outbound", "Links to other sites", report["outbound"], "events",
            [("To", _text("to")), ("Clicks", _number("events")), _VISITORS],
        ),
    ]  # fmt: skip


def _consent(report: Mapping[str, Any]) -> list[Figure]:
    degraded = ranked(
        "degraded", "Features that gave their fallback", report["degraded"], "views",
        [("Feature", _text("feature")), ("Views", _number("views"))],
    )  # fmt: skip
    *of_answers, by_day = consent_figures(report)
    return [*of_answers, degraded, replace(by_day, is_wide=True)]


def _text(key: str) -> Callable[[Line], str]:
    return lambda row: visible(row[key])


def _beside(arrow: str, other: str) -> Callable[[Line], str]:
    return lambda row: visible(f" {arrow} ".join(_distinct((row["path"], row[other]))))


def _number(key: str) -> Callable[[Line], str]:
    return lambda row: count(row[key])


def _time(key: str) -> Callable[[Line], str]:
    return lambda row: milliseconds(row[key])


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _distinct(values: Iterable[str | None]) -> list[str]:
    """Return the values without duplicates: the "(other)" row has the same name in every column."""
    return list(dict.fromkeys(value for value in values if value))


_VISITORS = ("Visitors", _number("visitors"))
_SESSIONS = ("Sessions", _number("sessions"))
