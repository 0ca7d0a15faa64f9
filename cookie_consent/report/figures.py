"""The figures of a report, one row for each: SQL, JSON, CSV, terminal and page are made from these rows.

To add a list, add a row here, and what it should be to `tests/support/report_oracle.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Row = Mapping[str, Any]
Kind = Literal["text", "time", "country", "count", "decimal", "percent", "seconds", "ms", "number"]
Drawing = Literal["bars", "parts", "course"]

OTHER = "(other)"
"""The name of the row that joins the small and the last groups of a list."""
DIGITS: Mapping[Kind, int] = {"percent": 4, "seconds": 1, "ms": 2, "number": 6}
"""Kind of a column -> the digits to which its values are rounded. Counts are whole."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a figure.

    Args:
        key: its name in JSON and CSV.
        title: its heading for people, also in a legend.
        kind: how its values are formatted.
        sql: an expression that names a row, or an aggregate that measures it; "" for a column made by `derive`.
        quantile: the quantile of `sql` that the column has; None if `sql` is an aggregate.
        people: SQL for the number of visitors that a value stands for; a value of fewer than the threshold is None.
            "" for those of the row.
        derive: returns the value from the other columns.
        style: how charts draw it; "" for not at all.
        can_be_summed: whether "(other)" has a value too.
    """

    key: str
    title: str
    kind: Kind = "count"
    sql: str = ""
    quantile: float | None = None
    people: str = ""
    derive: Callable[[Row], float | None] | None = None
    style: str = ""
    can_be_summed: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a report.

    Args:
        name: its name in JSON and the name of its CSV file.
        title: what it shows.
        section: the id of the section that shows it.
        names: the columns that identify a row.
        measures: the columns that measure it. A list is sorted by the first one, the largest first.
        table: the table that a list counts, or the name of an SQL file that selects from one; "" for a figure that
            `compute.py` makes.
        condition: which rows of the table count.
        people: SQL for a lower bound of the visitors in a group; a group of fewer than the threshold is no row.
        between: what stands between the names of a row for people.
        other: the column that has "(other)"; the first one by default.
        is_encoded: whether all names are one text of URL-encoded parts, joined with &.
        of_goal: whether there is one such list for each goal, in the row of that goal.
        filter: the key of the filter that chooses a row, one of `where.KEYS`; "" for none.
        drawing: how the page draws it. A list is "bars" of its first measure or "parts" of a whole. A "course" has a
            row for each step of time.
    """

    name: str
    title: str
    section: str
    names: tuple[Column, ...]
    measures: tuple[Column, ...]
    table: str = ""
    condition: str = ""
    people: str = "count(DISTINCT visitor)"
    between: tuple[str, ...] = ()
    other: str = ""
    is_encoded: bool = False
    of_goal: bool = False
    filter: str = ""
    drawing: Drawing = "bars"

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in their order."""
        return self.names + self.measures

    @property
    def is_list(self) -> bool:
        """Whether its rows are groups, the largest first and "(other)" last."""
        return bool(self.table and self.names and self.names[0].sql) and self.drawing != "course"

    @property
    def key(self) -> str:
        """Its name in the row of its goal, or in JSON."""
        return self.name.removeprefix("goals_") if self.of_goal else self.name


def ratio(part: float | None, whole: float | None, digits: int = 4) -> float | None:
    """Return a part of a whole, rounded; None if the whole is 0 or either is not known."""
    return round(part / whole, digits) if whole and part is not None else None


def _share_of(part: str, whole: str) -> Callable[[Row], float | None]:
    return lambda row: ratio(row[part], row[whole])


def _share_of_answers(answer: str) -> Callable[[Row], float | None]:
    return lambda row: ratio(row[answer], answered(row))


def answered(row: Row) -> int:
    """Return the number of answers. Purposes are not answered in part."""
    return int(row["granted"] + row["refused"] + row.get("partial", 0))


def _unanswered(row: Row) -> int:
    """Return the pages with the question and no answer. A change of an earlier answer comes without a question."""
    return int(max(0, row["asked"] - answered(row) + row["changed"]))


def _ignored(row: Row) -> int:
    """Return the visits that began with the question and did not answer it."""
    return int(max(0, row["asked_first"] - answered(row) + row["changed"]))


_REQUESTED = "kind <> 'event' AND inside = 1"

_PATH = Column("path", "Page", "text", "path")
_REFERRER = Column("referrer", "Site", "text", "CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END")
_CAMPAIGN = (
    Column("source", "Source", "text", "campaign"),
    Column("medium", "Medium", "text"),
    Column("campaign", "Campaign", "text"),
)
_EVENT = Column("event", "Event", "text", "event")
_PROPERTY = Column("property", "Property", "text", "key")

_HOST = Column("host", "Host", "text", "host")

_VISITORS = Column("visitors", "Visitors", sql="count(DISTINCT visitor)")
_SESSIONS = Column("sessions", "Sessions", sql="count(*)")
_VIEWS = Column("views", "Views", sql="sum(views)")
_REQUESTS = Column("requests", "Requests", sql="count(*)")
_EVENTS = Column("events", "Events", sql="count(*)")
_REACHED = Column(
    "reached",
    "Reached it",
    sql="sum(reached)",
    people="count(DISTINCT CASE WHEN reached = 1 THEN visitor END)",
    style="solid",
)
_CONVERSION = Column("conversion", "Conversion", "percent", derive=_share_of("reached", "sessions"), style="line")
_P50 = Column("p50_ms", "Half took no longer (p50)", "ms", "duration_ms", 0.5)
_P95 = Column("p95_ms", "95 % took no longer (p95)", "ms", "duration_ms", 0.95)
_ANSWERS = {
    "asked": Column("asked", "Asked"),
    "asked_first": Column("asked_first", "Asked first"),
    "granted": Column("granted", "Yes to all", style="solid"),
    "refused": Column("refused", "No", style="strong"),
    "partial": Column("partial", "Partly", style="hatched"),
    "withdrawn": Column("withdrawn", "Taken back"),
    "changed": Column("changed", "Changes of an earlier answer"),
    "signal": Column("signal", "Refused by the browser's signal"),
}
_UNANSWERED = Column("unanswered", "Not answered", derive=_unanswered, style="outline")
_YES_OF_ANSWERS = Column("granted_of_answers", "Yes, of answers", "percent", derive=_share_of_answers("granted"))
_NO_OF_ANSWERS = Column("refused_of_answers", "No, of answers", "percent", derive=_share_of_answers("refused"))
_YES_OF_QUESTIONS = Column("granted_of_questions", "Yes, of questions", "percent", derive=_share_of("granted", "asked"))


def _sum_of(name: str, by: str) -> str:
    return f"coalesce(sum(CASE WHEN name = '{name}{by}' THEN value ELSE 0 END), 0)"


_VIEWERS = "count(DISTINCT viewer)"
_BEGINNERS = "count(DISTINCT beginner)"
_PEOPLE_OF_STEP = (
    f"CASE WHEN {_VIEWERS} = 0 THEN {_BEGINNERS} WHEN {_BEGINNERS} = 0 THEN {_VIEWERS} "
    f"ELSE least({_VIEWERS}, {_BEGINNERS}) END"
)
"""The fewest visitors that a number of a step of time stands for: those of its views, or of the sessions that began."""
_IN_TIME = {
    "visitors": Column("visitors", "Visitors", sql=_VIEWERS, people=_PEOPLE_OF_STEP, style="solid"),
    "sessions": Column("sessions", "Sessions", sql="count(beginner)", people=_PEOPLE_OF_STEP, style="solid"),
    "views": Column("views", "Views", sql="count(viewer)", people=_PEOPLE_OF_STEP, style="solid"),
}
_OVER_TIME = (
    *_IN_TIME.values(),
    Column(
        "all_views_recorded",
        "Pages with a record",
        sql=f"CASE WHEN max(name) <> '' THEN {_sum_of('views_recorded', '')} END",
        style="solid",
    ),
    Column(
        "all_views",
        "All pages that people saw",
        sql=f"CASE WHEN max(name) <> '' THEN {_sum_of('views', '')} END",
        style="outline",
    ),
)


def _answers(*names: str, by: str = "") -> tuple[Column, ...]:
    """Return columns of counts, of those that were added up by something (`by`, like "_by_device") or of all."""
    return tuple(replace(_ANSWERS[name], sql=_sum_of(name, by)) for name in names)


def _draw(columns: Sequence[Column], **styles: str) -> tuple[Column, ...]:
    """Return columns with the styles by their keys, and the others without any."""
    return tuple(replace(column, style=styles.get(column.key, "")) for column in columns)


def _count_is_one_of(names: Sequence[str], by: str = "") -> str:
    listed = ", ".join(f"'{name}{by}'" for name in names)
    return f"name IN ({listed})"


def _people_of(names: Sequence[str], by: str = "") -> str:
    """Return SQL for a lower bound of the people behind counts.

    Somebody is asked on many pages, but answers once: every other answer is a change.
    """
    answers = [_sum_of(name, by) for name in names if name in ("granted", "refused", "partial")]
    others = [_sum_of(name, by) for name in names if name in ("asked_first", "withdrawn", "signal")]
    somebody = f"least({_sum_of('asked', by)}, 1)"
    answered_once = f"{' + '.join(answers)} - {_sum_of('changed', by)}"
    return f"greatest({', '.join([answered_once, *others, somebody])})"


def _consent_by(thing: str, title: str, heading: str, counts: Sequence[str], *derived: Column) -> Figure:
    """Return a list of counts that were added up by one thing, which `detail` names."""
    by = f"_by_{thing}"
    return Figure(
        name=f"consent{by}",
        title=title,
        section="consent",
        names=(Column(thing, heading, "text", "detail"),),
        measures=(*_answers(*counts, by=by), *derived),
        table="counts",
        condition=_count_is_one_of(counts, by),
        people=_people_of(counts, by),
        drawing="parts",
    )


def _requests_with(digit: int) -> str:
    return f"sum(CASE WHEN status BETWEEN {digit}00 AND {digit}99 THEN 1 ELSE 0 END)"


_ALL_ANSWERS = ("asked", "granted", "refused", "partial", "withdrawn", "changed", "signal")
_OF_LANGUAGES = ("asked", "granted", "refused", "partial", "withdrawn", "changed")
_OF_QUESTIONS = ("asked", "asked_first", "granted", "refused", "partial", "changed")
CONSENT = Figure(
    name="consent",
    title="What was answered",
    section="consent",
    names=(),
    measures=(
        *_answers("asked", "granted", "refused", "partial"),
        _UNANSWERED,
        *_answers("withdrawn", "changed", "signal", "asked_first"),
        Column("answered_first", "Answered on the first page", sql=_sum_of("answered_first", "")),
        Column("settings", "Settings opened", sql=_sum_of("settings", "")),
        Column("ignored", "Ignored", derive=_ignored),
        _YES_OF_ANSWERS,
        _YES_OF_QUESTIONS,
    ),
    table="counts",
    drawing="parts",
)
"""How often the question was asked in the whole range, and what became of it."""
SHARE = Figure(
    name="share",
    title="Pages with a record",
    section="time",
    names=(),
    measures=(
        Column("views_recorded", "Pages with a record", sql="sum(CASE WHEN name = 'views_recorded' THEN value END)"),
        Column("views", "All pages that people saw", sql="sum(CASE WHEN name = 'views' THEN value END)"),
    ),
    table="counts",
)
"""All page views, and those with a record."""

SECTIONS = {
    "time": "Over time",
    "content": "Pages",
    "sources": "Sources",
    "success": "Goals",
    "features": "Events",
    "return": "New and returning visitors",
    "machines": "Devices",
    "places": "Countries",
    "consent": "Consent",
    "answers": "Errors and speed",
}
"""The parts of the page: the id of each, and its title."""
FIGURES = (
    Figure(
        name="by_day",
        title="By day",
        section="time",
        names=(Column("day", "Day", "time", "moment"),),
        measures=_OVER_TIME,
        table="moments",
        drawing="course",
    ),
    Figure(
        name="by_step",
        title="By step",
        section="time",
        names=(Column("from", "From", "time", "moment"),),
        measures=_OVER_TIME,
        table="moments",
        drawing="course",
    ),
    Figure(
        name="by_hour",
        title="By hour of the day",
        section="time",
        names=(Column("hour", "Hour", sql="moment"),),
        measures=(_IN_TIME["views"], replace(_IN_TIME["sessions"], style="line")),
        table="moments",
        drawing="course",
    ),
    Figure(
        name="pages",
        title="Pages by views",
        section="content",
        names=(_PATH,),
        measures=(
            Column("views", "Views", sql="sum(viewed)"),
            Column("visitors", "Visitors", sql="count(DISTINCT CASE WHEN viewed = 1 THEN visitor END)"),
            Column(
                "median_seconds",
                "Median time on it",
                "seconds",
                "CASE WHEN event = 'page_leave' THEN duration_ms / 1000.0 END",
                0.5,
            ),
        ),
        table="records",
        condition="inside = 1 AND (viewed = 1 OR event = 'page_leave')",
        people="count(DISTINCT CASE WHEN viewed = 1 THEN visitor END)",
        filter="page",
    ),
    Figure(
        name="entry_pages",
        title="First pages of sessions",
        section="content",
        names=(replace(_PATH, sql="entry_path"),),
        measures=(
            _SESSIONS,
            Column("bounces", "Bounces", sql="sum(bounced)"),
            Column("bounce_rate", "Bounce rate", "percent", derive=_share_of("bounces", "sessions")),
        ),
        table="sessions",
        filter="entry",
    ),
    Figure(
        name="exit_pages",
        title="Last pages of sessions",
        section="content",
        names=(replace(_PATH, sql="exit_path"),),
        measures=(_SESSIONS,),
        table="sessions",
        filter="page",
    ),
    Figure(
        name="next_pages",
        title="From page to page",
        section="content",
        names=(_PATH, Column("next", "Next page", "text", "next_path")),
        measures=(Column("times", "Times", sql="count(*)"), _VISITORS),
        table="pairs",
        between=(" → ",),
        filter="page",
    ),
    Figure(
        "hosts",
        "Hosts",
        "content",
        (_HOST,),
        (_VISITORS, _VIEWS),
        "viewers",
        "host <> ''",
        filter="host",
    ),
    Figure(
        name="channels",
        title="Channels",
        section="sources",
        names=(Column("channel", "Channel", "text", "channel"),),
        measures=(_SESSIONS, _VISITORS),
        table="sessions",
        filter="channel",
    ),
    Figure(
        name="referrers",
        title="Other sites that led here",
        section="sources",
        names=(_REFERRER,),
        measures=(_SESSIONS, _VISITORS),
        table="sessions",
        filter="source",
    ),
    Figure(
        name="campaigns",
        title="Campaigns: source / medium / name",
        section="sources",
        names=_CAMPAIGN,
        measures=(_SESSIONS, _VISITORS),
        table="sessions",
        condition="campaign <> '&&'",
        between=(" / ", " / "),
        is_encoded=True,
        filter="campaign",
    ),
    Figure(
        name="goals",
        title="Goals",
        section="success",
        names=(Column("goal", "Goal", "text"),),
        measures=(
            replace(_SESSIONS, people="count(DISTINCT visitor)"),
            replace(_VISITORS, people="count(DISTINCT visitor)"),
            Column("conversion", "Conversion", "percent"),
        ),
        table="sessions_by_goal",
        condition="reached = 1",
    ),
    Figure(
        name="goals_by_step",
        title="Goals by step",
        section="success",
        names=(Column("from", "From", "time", "began"),),
        measures=(_REACHED, replace(_SESSIONS, people="count(DISTINCT visitor)"), _CONVERSION),
        table="sessions_by_goal",
        of_goal=True,
        drawing="course",
    ),
    Figure(
        name="goals_by_source",
        title="Goals by site that led here",
        section="success",
        names=(_REFERRER,),
        measures=(_REACHED, _SESSIONS, _CONVERSION),
        table="sessions_by_goal",
        of_goal=True,
        filter="source",
    ),
    Figure(
        name="goals_by_campaign",
        title="Goals by campaign",
        section="success",
        names=_CAMPAIGN,
        measures=(_REACHED, _SESSIONS, _CONVERSION),
        table="sessions_by_goal",
        condition="campaign <> '&&'",
        between=(" / ", " / "),
        is_encoded=True,
        of_goal=True,
        filter="campaign",
    ),
    Figure(
        name="goals_by_entry_page",
        title="Goals by first page",
        section="success",
        names=(replace(_PATH, sql="entry_path"),),
        measures=(_REACHED, _SESSIONS, _CONVERSION),
        table="sessions_by_goal",
        of_goal=True,
        filter="entry",
    ),
    Figure(
        name="funnels",
        title="Funnels",
        section="success",
        names=(Column("funnel", "Funnel", "text"), Column("step", "Step", "text")),
        measures=(
            Column("sessions", "Sessions", people="people_sessions"),
            Column("visitors", "Visitors", people="visitors"),
            Column("lost_sessions", "Sessions lost since the step before"),
            Column("lost_visitors", "Visitors lost since the step before"),
            Column("conversion", "Of the first step", "percent"),
        ),
    ),
    Figure(
        name="events",
        title="Events that the site's scripts sent",
        section="features",
        names=(_EVENT,),
        measures=(_EVENTS, _VISITORS),
        table="records",
        condition="inside = 1 AND event NOT IN ('', 'page_leave')",
        filter="event",
    ),
    Figure(
        name="downloads",
        title="Downloads",
        section="features",
        names=(Column("file", "File", "text", "value"),),
        measures=(replace(_EVENTS, title="Downloads"), _VISITORS),
        table="properties",
        condition="event = 'download' AND key = 'file' AND sign = '\"'",
    ),
    Figure(
        name="outbound",
        title="Links to other sites",
        section="features",
        names=(Column("to", "To", "text", "value"),),
        measures=(replace(_EVENTS, title="Clicks"), _VISITORS),
        table="properties",
        condition="event = 'outbound' AND key = 'to' AND sign = '\"'",
    ),
    Figure(
        name="properties",
        title="Numbers of events",
        section="features",
        names=(_EVENT, _PROPERTY),
        measures=(
            _EVENTS,
            _VISITORS,
            # Numbers of several properties have nothing in common that could be added up.
            Column("sum", "Sum", "number", "sum(number)", can_be_summed=False),
            Column("mean", "Mean", "number", "avg(number)", can_be_summed=False),
            Column("p50", "p50", "number", "number", 0.5, can_be_summed=False),
            Column("p95", "p95", "number", "number", 0.95, can_be_summed=False),
        ),
        table="properties",
        condition="sign NOT IN ('\"', 't', 'f')",
        between=(": ",),
    ),
    Figure(
        name="property_values",
        title="Values of events",
        section="features",
        names=(_EVENT, _PROPERTY, Column("value", "Value", "text", "value")),
        measures=(_EVENTS, _VISITORS),
        table="properties",
        condition="sign IN ('\"', 't', 'f')",
        between=(": ", " = "),
        filter="property",
    ),
    Figure(
        name="retention",
        title="New visitors by week (from Monday), and how many came again in the weeks after",
        section="return",
        names=(Column("week", "Week from", "time"),),
        measures=(Column("visitors", "New visitors"),),
    ),
    Figure(
        "devices",
        "Devices",
        "machines",
        (Column("device", "Device", "text", "CASE WHEN device = '' THEN '(unknown)' ELSE device END"),),
        (_VISITORS, _VIEWS),
        "viewers",
        filter="device",
    ),
    Figure(
        "browsers",
        "Browsers",
        "machines",
        (Column("browser", "Browser", "text", "CASE WHEN browser = '' THEN '(unknown)' ELSE browser END"),),
        (_VISITORS, _VIEWS),
        "viewers",
        filter="browser",
    ),
    Figure(
        "systems",
        "Operating systems",
        "machines",
        (Column("os", "System", "text", "CASE WHEN os = '' THEN '(unknown)' ELSE os END"),),
        (_VISITORS, _VIEWS),
        "viewers",
        filter="os",
    ),
    Figure(
        name="countries",
        title="Countries, where they are known",
        section="places",
        names=(Column("country", "Country", "country", "country"),),
        measures=(_VISITORS, _VIEWS),
        table="viewers",
        condition="country <> ''",
        filter="country",
    ),
    Figure(
        name="consent_by_day",
        title="Asked and answered by day",
        section="consent",
        names=(Column("day", "Day", "time", "came"),),
        measures=_draw(
            (
                *_answers("asked", "granted", "refused", "partial"),
                _UNANSWERED,
                *_answers("withdrawn", "changed", "signal"),
                _YES_OF_ANSWERS,
                _NO_OF_ANSWERS,
            ),
            asked="outline",
            granted="solid",
            refused="line",
            granted_of_answers="solid",
            refused_of_answers="line",
        ),
        table="counts",
        drawing="course",
    ),
    Figure(
        name="consent_by_host",
        title="Consent by host",
        section="consent",
        names=(_HOST,),
        measures=(
            *_answers("asked", "granted", "refused", "partial"),
            _UNANSWERED,
            *_answers("withdrawn", "changed", "signal"),
        ),
        table="counts",
        condition=f"{_count_is_one_of((*_ALL_ANSWERS, 'asked_first'))} AND host <> ''",
        people=_people_of((*_ALL_ANSWERS, "asked_first")),
        drawing="parts",
    ),
    Figure(
        name="consent_by_language",
        title="Consent by language",
        section="consent",
        names=(Column("language", "Language", "text", "language"),),
        measures=(
            *_answers("asked", "granted", "refused", "partial"),
            _UNANSWERED,
            *_answers("withdrawn", "changed"),  # a browser's signal has no language
        ),
        table="counts",
        condition=f"{_count_is_one_of((*_OF_LANGUAGES, 'asked_first'))} AND language <> ''",
        people=_people_of((*_OF_LANGUAGES, "asked_first")),
        drawing="parts",
    ),
    _consent_by(
        "purpose",
        "Consent by purpose",
        "Purpose",
        ("asked", "granted", "refused", "withdrawn", "changed"),
        _UNANSWERED,
        _YES_OF_ANSWERS,
    ),
    _consent_by("policy", "Consent by version of the policy", "Version", _OF_QUESTIONS, _UNANSWERED, _YES_OF_ANSWERS),
    _consent_by(
        "device", "Consent by device", "Device", ("asked", "asked_first", "granted", "changed"), _YES_OF_QUESTIONS
    ),  # unknown of those who said no
    _consent_by(
        "prefix", "Consent by first part of the path", "Path begins with", _OF_QUESTIONS, _UNANSWERED, _YES_OF_ANSWERS
    ),
    Figure(
        name="degraded",
        title="Features that gave their fallback",
        section="consent",
        names=(Column("feature", "Feature", "text", "detail"),),
        measures=(Column("views", "Views", sql="sum(value)"),),
        table="counts",
        condition="name = 'degraded'",
        people="sum(value)",  # nobody is told apart: fewer views are fewer visitors, too
    ),
    Figure(
        name="missing",
        title="Missing pages (404), and where visitors came from",
        section="answers",
        names=(_PATH, Column("source", "From", "text", "source")),
        measures=(_REQUESTS, _VISITORS),
        table="missing",
        between=(" ← ",),
    ),
    Figure(
        name="failed_arrivals",
        title="Errors with which visits began, of all visitors",
        section="answers",
        names=(_PATH, Column("source", "From", "text", "source"), Column("status", "Status", "text", "status")),
        measures=(Column("visits", "Visits", sql="sum(value)"),),
        table="failed_arrivals",
        people="sum(value)",  # nobody is told apart: fewer visits are fewer visitors, too
        between=(" ← ", ", "),
    ),
    Figure(
        name="failing_pages",
        title="Pages that failed (5xx)",
        section="answers",
        names=(_PATH,),
        measures=(_REQUESTS, _VISITORS),
        table="records",
        condition=f"{_REQUESTED} AND status >= 500",
    ),
    Figure(
        name="slow_pages",
        title="Slow pages",
        section="answers",
        names=(_PATH,),
        measures=(_P95, _P50, _REQUESTS),
        table="records",
        condition="kind = 'view' AND inside = 1",  # views that scripts report have no time on the server
        filter="page",
    ),
    Figure(
        name="routes",
        title="Routes",
        section="answers",
        names=(
            Column("method", "Method", "text", "method"),
            Column("route", "Route", "text", "CASE WHEN route = '' THEN '(no route)' ELSE route END"),
        ),
        measures=(
            _REQUESTS,
            Column("2xx", "2xx, answered", sql=_requests_with(2), style="solid"),
            Column("3xx", "3xx, elsewhere or unchanged", sql=_requests_with(3), style="hatched"),
            Column("4xx", "4xx, refused", sql=_requests_with(4), style="dotted"),
            Column("5xx", "5xx, failed", sql=_requests_with(5), style="strong"),
            _P50,
            _P95,
            Column("p99_ms", "99 % took no longer (p99)", "ms", "duration_ms", 0.99),
        ),
        table="records",
        condition=_REQUESTED,
        between=(" ",),
        other="route",
        drawing="parts",
    ),
)
"""All figures, in the order in which a report shows them."""
LISTS = tuple(figure for figure in FIGURES if figure.is_list and not figure.of_goal)
OF_GOALS = tuple(figure for figure in FIGURES if figure.of_goal)
BY_NAME = {figure.name: figure for figure in (*FIGURES, CONSENT, SHARE)}


def rows_of(report: Row, figure: Figure) -> list[dict[str, Any]]:
    """Return the rows of a figure with the same columns in each, as tables show them.

    Args:
        report: the result of `cookie_consent.report.report`.
        figure: one of FIGURES.
    """
    if figure.of_goal:
        return [{"goal": goal["goal"], **row} for goal in report["goals"] for row in goal[figure.key]]
    if figure.name == "funnels":
        return [{"funnel": funnel["funnel"], **step} for funnel in report["funnels"] for step in funnel["steps"]]
    if figure.name == "goals":
        nested = [each.key for each in OF_GOALS]
        return [{key: value for key, value in goal.items() if key not in nested} for goal in report["goals"]]
    return list(report[figure.name])


def totals(report: Row) -> list[dict[str, Any]]:
    """Return the totals of a report as a row, and as a second row those of the period compared with."""
    return [_totals_of(period) for period in (report, report["compare"]) if period]


def _totals_of(period: Row) -> dict[str, Any]:
    names = ("visitors", "new_visitors", "returning_visitors", "sessions", "views", "bounce_rate", "views_per_session")
    return {
        "from": period["range"]["from"],
        "to": period["range"]["to"],
        **{name: period[name] for name in names},
        **{f"session_seconds_{name}": value for name, value in period["session_seconds"].items()},
        "all_views_recorded": period["share"]["views_recorded"],
        "all_views": period["share"]["views"],
        "share": period["share"]["share"],
        **period["consent"],
    }
