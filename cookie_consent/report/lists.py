"""The lists of a report: the columns of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from cookie_consent.report.engines.engine import Engine, Given, Row

OTHER = "(other)"
DEFAULT_ROWS = 50
"""The default number of rows in a list, without the "(other)" row."""
LARGEST_LIMIT = 10_000
"""The largest allowed number of rows. A longer page helps nobody and takes long to make."""
SEPARATOR = "\x1f"
"""Stands between the parts of a label that may have any other character (ASCII, unit separator)."""
ANSWERS = ("asked", "granted", "refused", "partial", "unanswered", "withdrawn", "changed", "signal")
"""The figures of consent, in display order."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of a list's rows in an earlier period.

    Args:
        known: label -> number.
        rest: the number of a row that is not among them; None if it is not known.
    """

    known: Mapping[str, int | float | None]
    rest: int | None


@dataclass(frozen=True, slots=True)
class RankedList:
    """A list of groups, the largest first and "(other)" last.

    Args:
        name: the name of the figure and of its SQL file.
        named: returns the columns that identify a row, from its label.
        measured: returns the measured columns, from an engine's row. Rows are sorted by the first of them.
    """

    name: str
    named: Callable[[str], Mapping[str, str]]
    measured: Callable[[Row], Mapping[str, int | float | None]]

    def ask(self, engine: Engine, given: Given, earlier: Sizes | None = None) -> tuple[list[Row], int]:
        """Return the rows of the report, and how many groups were too small for a row of their own.

        Args:
            engine: an engine with the tables of the range.
            given: the parameters of the SQL texts.
            earlier: the result of `sizes` for the period compared with. Then each row has that number too, as "before".
        """
        rows = engine.rows(self.name, given)
        small = number(rows[0]["small_groups"]) if rows else 0
        return self.of(self._without_few(rows, engine, given), earlier), small

    def sizes(self, engine: Engine, given: Given) -> Sizes:
        """Return the numbers that rows are sorted by, to compare later ones with.

        Args:
            engine: an engine with the tables of the earlier period.
            given: the parameters of the SQL texts.
        """
        # All rows that may be shown at all: what is high up in a list now may have been far down.
        most = {**given, "most": LARGEST_LIMIT}
        rows = self._without_few(engine.rows(self.name, most), engine, most)
        sizes = {row["label"]: next(iter(self.measured(row).values())) for row in rows if not row["joined"]}
        # A row that is not there may have had some, but too few to be shown.
        return Sizes(sizes, None if len(sizes) < len(rows) or int(given["threshold"]) > 1 else 0)

    def _without_few(self, rows: list[Row], engine: Engine, given: Given) -> list[Row]:
        """Drop or merge rows until the "(other)" row has at least `threshold` visitors too.

        Merging the smallest named row into it is enough. Without a named row, the list is empty.
        """
        joined = [row for row in rows if row["joined"]]
        if not joined or number(joined[0]["people_joined"]) >= int(given["threshold"]):
            return rows
        named = len(rows) - len(joined)
        return engine.rows(self.name, {**given, "most": named - 1}) if named else []

    def of(self, rows: list[Row], earlier: Sizes | None = None) -> list[Row]:
        """Return an engine's rows as rows of the report, sorted."""
        entries = [
            (row["joined"], self.named(row["label"]), {**self.measured(row), **_before(row, earlier)}) for row in rows
        ]
        # Equal numbers are sorted by name, so that all engines give one order.
        entries.sort(key=lambda parts: (parts[0], -(next(iter(parts[2].values())) or 0), *parts[1].values()))
        return [{**names, **measures} for _, names, measures in entries]


def _before(row: Row, earlier: Sizes | None) -> Mapping[str, int | float | None]:
    if earlier is None:
        return {}
    return {"before": None if row["joined"] else earlier.known.get(row["label"], earlier.rest)}


def number(value: object) -> int:
    """Return an engine's number as an int. Engines use different types for it."""
    return int(value)  # type: ignore[call-overload, no-any-return]


def rounded(value: object, digits: int = 1) -> float | None:
    """Return an engine's number as a rounded float; None for NULL."""
    return None if value is None else round(float(value), digits)  # type: ignore[arg-type]


def ratio(part: float, whole: float, digits: int = 4) -> float | None:
    """Return a part of a whole, rounded; None if the whole is 0."""
    return round(part / whole, digits) if whole else None


def consent(row: Row) -> dict[str, int]:
    """Return the figures of consent.

    A visitor who answers on a later page was asked on each page before it, so those count as unanswered.
    """
    counted = _counts(row, *(name for name in ANSWERS if name != "unanswered"))
    # An answer on the settings page comes without a question, so there may be more answers than questions.
    counted["unanswered"] = max(0, counted["asked"] - _answered(counted) + counted["changed"])
    return {name: counted[name] for name in ANSWERS}


def consent_of_all(row: Row) -> dict[str, int | float | None]:
    """Return the figures of consent of the whole range.

    `ignored` are visits that began with the question and did not answer it.
    """
    figures, more = consent(row), _counts(row, "asked_first", "answered_first", "settings")
    answered = _answered(figures)
    return {
        **figures,
        **more,
        "ignored": max(0, more["asked_first"] - answered + figures["changed"]),
        "granted_of_answers": ratio(figures["granted"], answered),
        "granted_of_questions": ratio(figures["granted"], figures["asked"]),
    }


def _counts(row: Row, *names: str) -> dict[str, int]:
    return {name: number(row[f"all_{name}"]) for name in names}


def _answered(counted: Mapping[str, int]) -> int:
    return counted["granted"] + counted["refused"] + counted.get("partial", 0)


def _of_questions(row: Row) -> dict[str, int | float | None]:
    """Return the figures of consent by one thing."""
    return _completed(_counts(row, "asked", "asked_first", "granted", "refused", "partial", "changed"))


def _of_devices(row: Row) -> dict[str, int | float | None]:
    """Return the figures of consent by device. It is not known of those who said no."""
    counted = _counts(row, "asked", "asked_first", "granted", "changed")
    return {**counted, "granted_of_questions": ratio(counted["granted"], counted["asked"])}


def _of_purposes(row: Row) -> dict[str, int | float | None]:
    """Return the figures of consent by purpose. A purpose is not answered in part."""
    return _completed(_counts(row, "asked", "granted", "refused", "withdrawn", "changed"))


def _completed(counted: Mapping[str, int]) -> dict[str, int | float | None]:
    answered = _answered(counted)
    unanswered = max(0, counted["asked"] - answered + counted["changed"])
    return {**counted, "unanswered": unanswered, "granted_of_answers": ratio(counted["granted"], answered)}


def _without_signal(row: Row) -> dict[str, int]:
    """Return the figures of consent by language, without `signal`: a browser's signal has no language."""
    return {name: value for name, value in consent({**row, "all_signal": 0}).items() if name != "signal"}


def _named(column: str) -> Callable[[str], Mapping[str, str]]:
    return lambda label: {column: label}


def _campaign(label: str) -> Mapping[str, str]:
    # The parts are still encoded as in the address, so none contains an "&".
    parts = label.split("&") if label != OTHER else (OTHER, "", "")
    return dict(zip(("source", "medium", "campaign"), map(unquote_plus, parts), strict=True))


def _route(label: str) -> Mapping[str, str]:
    method, _, route = label.partition(" ") if label != OTHER else ("", "", OTHER)
    return {"method": method, "route": route}


def _missing(label: str) -> Mapping[str, str]:
    source, _, path = label.partition(" ") if label != OTHER else ("", "", OTHER)
    return {"path": path, "source": source}


def _parts(*columns: str) -> Callable[[str], Mapping[str, str]]:
    def named(label: str) -> Mapping[str, str]:
        parts = label.split(SEPARATOR, len(columns) - 1) if label != OTHER else (OTHER, *[""] * (len(columns) - 1))
        return dict(zip(columns, parts, strict=True))

    return named


def _counting(*columns: str) -> Callable[[Row], Mapping[str, int]]:
    return lambda row: {column: number(row[column]) for column in columns}


def _pages(row: Row) -> Mapping[str, int | float | None]:
    return {**_counting("views", "visitors")(row), "median_seconds": rounded(row["median_seconds"])}


def _routes(row: Row) -> Mapping[str, int | float | None]:
    answers = {f"{digit}xx": number(row[f"status_{digit}"]) for digit in "2345"}
    times = {name: rounded(row[name], 2) for name in ("p50_ms", "p95_ms", "p99_ms")}
    return {"requests": number(row["requests"]), **answers, **times}


def _slowness(row: Row) -> Mapping[str, int | float | None]:
    times = {name: rounded(row[name], 2) for name in ("p95_ms", "p50_ms")}
    return {**times, "requests": number(row["requests"])}


def _numbers(row: Row) -> Mapping[str, int | float | None]:
    counted = _counting("events", "visitors")(row)
    # Numbers of several properties have nothing in common that could be added up.
    if row["joined"]:
        return {**counted, **dict.fromkeys(("sum", "mean", "p50", "p95"))}
    measured = {
        "sum": row["total"],
        "mean": float(row["total"]) / counted["events"],
        "p50": row["p50"],
        "p95": row["p95"],
    }
    return {**counted, **{name: rounded(value, 6) for name, value in measured.items()}}


PATH, REFERRER, CAMPAIGN = _named("path"), _named("referrer"), _campaign
"""What names the rows of lists of pages, sites and campaigns."""


LISTS = (
    RankedList("pages", _named("path"), _pages),
    RankedList("entry_pages", _named("path"), _counting("sessions", "bounces")),
    RankedList("exit_pages", _named("path"), _counting("sessions")),
    RankedList("next_pages", _parts("path", "next"), _counting("times", "visitors")),
    RankedList("previous_pages", _parts("path", "previous"), _counting("times", "visitors")),
    RankedList("referrers", _named("referrer"), _counting("sessions", "visitors")),
    RankedList("channels", _named("channel"), _counting("sessions", "visitors")),
    RankedList("campaigns", _campaign, _counting("sessions", "visitors")),
    RankedList("devices", _named("device"), _counting("visitors", "views")),
    RankedList("browsers", _named("browser"), _counting("visitors", "views")),
    RankedList("systems", _named("os"), _counting("visitors", "views")),
    RankedList("countries", _named("country"), _counting("visitors", "views")),
    RankedList("routes", _route, _routes),
    RankedList("missing", _missing, _counting("requests", "visitors")),
    RankedList("failing_pages", _named("path"), _counting("requests", "visitors")),
    RankedList("slow_pages", _named("path"), _slowness),
    RankedList("events", _named("event"), _counting("events", "visitors")),
    RankedList("downloads", _named("file"), _counting("events", "visitors")),
    RankedList("outbound", _named("to"), _counting("events", "visitors")),
    RankedList("properties", _parts("event", "property"), _numbers),
    RankedList("property_values", _parts("event", "property", "value"), _counting("events", "visitors")),
    RankedList("degraded", _named("feature"), _counting("views")),
    RankedList("consent_by_host", _named("host"), consent),
    RankedList("consent_by_language", _named("language"), _without_signal),
    RankedList("consent_by_purpose", _named("purpose"), _of_purposes),
    RankedList("consent_by_policy", _named("policy"), _of_questions),
    RankedList("consent_by_device", _named("device"), _of_devices),
    RankedList("consent_by_prefix", _named("prefix"), _of_questions),
)


def totals(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the totals of a report as a row, and as a second row those of the period compared with."""
    return [_row(period) for period in (report, report["compare"]) if period]


def _row(period: Mapping[str, Any]) -> dict[str, Any]:
    """Return the totals of a period as one flat row."""
    return {
        "from": period["range"]["from"],
        "to": period["range"]["to"],
        **{
            name: period[name]
            for name in (
                "visitors",
                "new_visitors",
                "returning_visitors",
                "sessions",
                "views",
                "bounce_rate",
                "views_per_session",
            )
        },
        **{f"session_seconds_{name}": value for name, value in period["session_seconds"].items()},
        "all_views_recorded": period["share"]["views_recorded"],
        "all_views": period["share"]["views"],
        "share": period["share"]["share"],
        **period["consent"],
    }
