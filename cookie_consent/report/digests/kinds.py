"""The kinds of facts in a digest: one entry for each list of a report, and for its totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from cookie_consent.report.engines.dialect import DUCKDB, Dialect
from cookie_consent.report.lists import SEPARATOR

_VIEWED = "viewed = 1"
_REQUESTED = "kind <> 'event'"
_SEPARATOR = f"'{SEPARATOR}'"
_FIRST = "substring(raw, 1, 1)"
"""The first character of a JSON value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a list is made: from which facts, and of what each of its rows consists.

    Args:
        figure: the name of the list.
        table: the table of its facts: "records", "told", "sessions" or "pairs".
        name: SQL for the name of a row.
        where: SQL for the condition on facts.
        sums: column of the list -> SQL aggregate that can be summed over days. At most `MOST_SUMS`.
        quantiles: column of the list -> the quantile of `value`, as SQL.
        value: SQL for the number whose quantiles are shown; "" for none.
        value_where: SQL for the condition on facts that have this number.
        sorted_by: the column by which rows are sorted; "visitors" for people.
        of: columns that `name` is computed from once for each combination, where that is expensive.
        few_are: SQL for the name that names of fewer visitors than the threshold get first, from their `text`.
        label: SQL for the name in the list, from `text`, the name of the facts.
        same_as: the kind that has the facts; "" for this one.
        has_people: whether it matters who has facts of a name.
    """

    figure: str
    table: str
    name: str
    where: str = "true"
    sums: Mapping[str, str] = field(default_factory=dict)
    quantiles: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    value_where: str = "true"
    sorted_by: str = "visitors"
    of: tuple[str, ...] = ()
    few_are: str = ""
    label: str = "text"
    same_as: str = ""
    has_people: bool = True

    @property
    def of_stays(self) -> bool:
        """Whether its facts are of sessions, which may go on in another file."""
        return self.table in ("sessions", "pairs")

    @property
    def number(self) -> int:
        """The number of its facts in digests."""
        return _PLACES[self.same_as or self.figure]

    @property
    def size(self) -> str:
        """The column of a query that has the number by which rows are sorted."""
        if self.sorted_by in self.quantiles:
            return "size"
        return f"n{list(self.sums).index(self.sorted_by)}" if self.sorted_by in self.sums else "people"


def _of_agents(figure: str, column: str) -> Kind:
    name = f"CASE WHEN {column} = '' THEN '(unknown)' ELSE {column} END"
    return Kind(figure, "records", name, _VIEWED, {"views": "count(*)"})


def _of_sessions(figure: str, name: str, where: str = "true", **sums: str) -> Kind:
    return Kind(figure, "sessions", name, where, {"sessions": "count(*)", **sums}, sorted_by="sessions")


def _of_events(figure: str, table: str, name: str, where: str) -> Kind:
    return Kind(figure, table, name, where, {"events": "count(*)"}, sorted_by="events")


def _of_requests(figure: str, name: str, where: str) -> Kind:
    return Kind(figure, "records", name, f"{_REQUESTED} AND {where}", {"requests": "count(*)"}, sorted_by="requests")


VIEWS = Kind("views", "records", "''", _VIEWED, {"views": "count(*)"})
"""Visitors and page views; not a list."""
CONSENTED = Kind("consented", "records", "''", f"{_VIEWED} AND exempt = 0")
SEEN = Kind("seen", "records", "''")
"""Visitors with any record."""
EXEMPT = Kind("exempt", "records", "''", "exempt = 1", {"exempt": "count(*)"}, has_people=False)
SESSIONS = Kind(
    "sessions",
    "sessions",
    "''",
    sums={"sessions": "count(*)", "bounces": "sum(bounced)"},
    value="lasted / 1000.0",
    has_people=False,
)
VIEW_HOURS = Kind("view_hours", "records", "CAST(hour AS VARCHAR)", _VIEWED, {"views": "count(*)"})
SESSION_HOURS = Kind(
    "session_hours", "sessions", "CAST(hour AS VARCHAR)", sums={"sessions": "count(*)"}, has_people=False
)


@cache
def kinds_in(dialect: Dialect) -> tuple[Kind, ...]:
    """Return all kinds, in the SQL of an engine. Their places are their numbers in digests."""
    text = dialect.unquoted.format("raw")
    before, after = (
        dialect.matched.format("text", pattern)
        for pattern in (f"^([^{SEPARATOR}]*){SEPARATOR}", f"{SEPARATOR}([^{SEPARATOR}]*)$")
    )
    return (
        VIEWS,
        CONSENTED,
        SEEN,
        EXEMPT,
        SESSIONS,
        VIEW_HOURS,
        SESSION_HOURS,
        Kind(
            "pages", "records", "path", _VIEWED, {"views": "count(*)"}, {"median_seconds": "0.5"},
            "duration_ms / 1000.0", "event = 'page_leave'", "views",
        ),
        _of_sessions("entry_pages", "entry_path", bounces="sum(bounced)"),
        _of_sessions("exit_pages", "exit_path"),
        Kind(
            "next_pages", "pairs", f"concat(path, {_SEPARATOR}, next_path)", sums={"times": "count(*)"},
            sorted_by="times", of=("path", "next_path"),
        ),
        Kind(
            "previous_pages", "pairs", "", sums={"times": "count(*)"}, sorted_by="times", same_as="next_pages",
            label=f"concat({after}, {_SEPARATOR}, {before})",
        ),
        _of_sessions("referrers", "CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END"),
        Kind(
            "channels", "sessions", "channel", sums={"sessions": "count(*)"},
            sorted_by="sessions", of=("referrer", "campaign"),
        ),
        _of_sessions("campaigns", "campaign", "campaign <> '&&'"),
        _of_agents("devices", "device"),
        _of_agents("browsers", "browser"),
        _of_agents("systems", "os"),
        Kind("countries", "records", "country", f"{_VIEWED} AND country <> ''", {"views": "count(*)"}),
        Kind(
            "routes", "records", "concat(method, ' ', CASE WHEN route = '' THEN '(no route)' ELSE route END)",
            _REQUESTED,
            {
                "requests": "count(*)",
                **{f"status_{n}": f"count(*) FILTER (WHERE status BETWEEN {n}00 AND {n}99)" for n in "2345"},
            },
            {"p50_ms": "0.5", "p95_ms": "0.95", "p99_ms": "0.99"}, "duration_ms", _REQUESTED, "requests",
        ),
        replace(
            _of_requests(
                "missing",
                "concat(CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END, ' ', path)",
                "status = 404",
            ),
            few_are="concat('(other)', substring(text, position(' ' IN text)))",
        ),
        _of_requests("failing_pages", "path", "status >= 500"),
        Kind(
            "slow_pages", "records", "path", "kind = 'view'", {"requests": "count(*)"},
            {"p95_ms": "0.95", "p50_ms": "0.5"}, "duration_ms", "kind = 'view'", "p95_ms",
        ),
        _of_events("events", "records", "event", "event NOT IN ('', 'page_leave')"),
        replace(
            _of_events("properties", "told", f"concat(event, {_SEPARATOR}, key)", f"{_FIRST} NOT IN ('\"', 't', 'f')"),
            quantiles={"p50": "0.5", "p95": "0.95"}, value=dialect.decimal.format("raw"),
            value_where=f"{_FIRST} NOT IN ('\"', 't', 'f')",
        ),
        _of_events(
            "property_values", "told",
            f"concat(event, {_SEPARATOR}, key, {_SEPARATOR}, CASE WHEN {_FIRST} = '\"' THEN {text} ELSE raw END)",
            f"{_FIRST} IN ('\"', 't', 'f')",
        ),
        _of_events("downloads", "told", text, f"event = 'download' AND key = 'file' AND {_FIRST} = '\"'"),
        _of_events("outbound", "told", text, f"event = 'outbound' AND key = 'to' AND {_FIRST} = '\"'"),
    )  # fmt: skip


KINDS = kinds_in(DUCKDB)

MOST_SUMS = max(len(kind.sums) for kind in KINDS)
_PLACES = {kind.figure: place for place, kind in enumerate(KINDS)}
BY_FIGURE = {kind.figure: kind for kind in KINDS}
NUMBERS = {kind.figure: kind.number for kind in KINDS}
"""Figure -> the number of its facts."""
OF_COUNTS = ("consent", "share", "degraded")
"""How the names of figures begin that are computed from counts, as without digests."""


def kinds_of(*tables: str) -> list[Kind]:
    """Return the kinds with facts of their own from some tables."""
    return with_facts(KINDS, *tables)


def with_facts(kinds: Iterable[Kind], *tables: str) -> list[Kind]:
    """Return those of the kinds with facts of their own from some tables."""
    return [kind for kind in kinds if kind.table in tables and not kind.same_as]
