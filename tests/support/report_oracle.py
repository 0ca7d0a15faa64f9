"""Computes the expected report in plain Python from the definitions of the figures, without the package."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit
from zoneinfo import ZoneInfo

from tests.support.report_records import Record, time_of

MARGIN = timedelta(hours=6)
PAUSE = timedelta(minutes=30)
ANSWERS = ("asked", "granted", "refused", "partial", "unanswered", "withdrawn", "changed", "signal")
MEASURES = {
    "purpose": ("asked", "granted", "refused", "withdrawn", "changed"),
    **dict.fromkeys(
        ("policy", "prefix"),
        ("asked", "asked_first", "granted", "refused", "partial", "changed"),
    ),
    "device": ("asked", "asked_first", "granted", "changed"),
}
"""What consent is added up by -> the counts of it."""
NOTHING = {"views_recorded": None, "views": None, "share": None}
MEDIUMS = {"email": "mail", "E-Mail": "mail", "social": "social", "mail": "mail"}
CLICK_IDS = {"gclid": "google", "msclkid": "bing"}
PAID_SEARCH = [("google", "cpc"), ("bing", "cpc")]
KNOWN_HOSTS = {"www.google.co.jp": "search", "l.facebook.com": "social", "mail.google.com": "mail"}
"""Of the random records, those that say the channel."""
COUNTRY = "client.geo.country.iso_code"
OF_RECORDS = {
    "browser": "user_agent.name", "os": "user_agent.os", "device": "user_agent.device", "country": COUNTRY,
    "host": "server.address",
}  # fmt: skip
"""Filter -> the key of a record that it compares."""
Campaign = tuple[str, str, str]


@dataclass
class Session:
    """Records of a visitor on a host, in order. Requests that are no views extend a session, but start none."""

    campaign: Campaign
    records: list[Record] = field(default_factory=list)

    @property
    def visitor(self) -> str:
        return str(self.records[0]["visitor.id"])

    @property
    def began(self) -> datetime:
        return min(time_of(record) for record in self.records if kind_of(record) != "request")

    @property
    def views(self) -> list[Record]:
        return [record for record in self.records if is_view(record)]

    @property
    def seconds(self) -> float:
        return (max(map(end_of, self.records)) - self.began).total_seconds()

    @property
    def bounced(self) -> bool:
        acted = [record for record in self.records if record.get("event.name", "page_leave") != "page_leave"]
        acted = [record for record in acted if not is_view(record)]
        return len(self.views) == 1 and not acted

    @property
    def referrer(self) -> str:
        first = self.views[0]
        referrer = first.get("http.request.referrer")
        if not referrer:
            return "(direct)"
        own = site_of(urlsplit(referrer).hostname) == site_of(first["server.address"])
        return "(internal)" if own else str(referrer)

    def is_chosen(self, key: str, value: str) -> bool:
        """Return whether a filter holds for the session. Those by a user agent or a country are for records."""
        if key == "source":
            return self.referrer == value or site_of(urlsplit(self.referrer).hostname) == site_of(value)
        if key == "channel":
            return channel_of(self) == value
        if key == "campaign":
            return value in (self.campaign[2], "&".join(map(quote_plus, self.campaign)))
        if key == "entry":
            return fits(self.views[0]["url.path"], value)
        if key == "page":
            return any(fits(view["url.path"], value) for view in self.views)
        if key == "property":
            return any(value in properties_of(record) for record in self.records)
        return key in OF_RECORDS or any(record.get("event.name") == value for record in self.records)


def properties_of(record: Record) -> set[str]:
    """Return the texts and truth values of an event, as filters name them."""
    values = {
        key: json.dumps(value) if isinstance(value, bool) else value
        for key, value in record.get("event.properties", {}).items()
    }
    return {f"{record['event.name']}:{key}={value}" for key, value in values.items() if isinstance(value, str)}


@dataclass
class Pair:
    """A page of a session, and the page beside it."""

    visitor: str
    path: str
    beside: str


class Oracle:
    """The expected figures of a range of days.

    Args:
        records: all written access records.
        counts: all written counts.
        since: the first day.
        until: the last day.
        host: the only host that counts, if any.
        limit: the number of rows in a list.
        threshold: the fewest visitors of a row.
        time_zone: the time zone of days and hours.
        goals: `goals`, pairs of a name and the step that reaches it; `funnels`, pairs of a name and its steps.
        step: the step of figures over time; None for hours of two days, and days of more.
        before: the period compared with, if any. All rows of its lists count.
        where: filters by a session's properties, as keys and values.
    """

    def __init__(
        self,
        records: Iterable[Record],
        counts: Iterable[Record],
        since: date,
        until: date,
        *,
        host: str | None = None,
        limit: int = 50,
        threshold: int = 5,
        time_zone: str = "UTC",
        goals: Any = None,
        step: str | None = None,
        before: Oracle | None = None,
        where: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.step, self.before = step or ("hour" if until - since < timedelta(days=2) else "day"), before
        self.goals = dict(goals.goals) if goals else {}
        self.funnels = dict(goals.funnels) if goals else {}
        self.where = where
        self.limit, self.threshold, self.merged = limit, threshold, 0
        self.days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
        self.zone = ZoneInfo(time_zone)
        self.begin, self.end = (
            datetime.combine(day, time(), self.zone).astimezone(UTC) for day in (since, until + timedelta(days=1))
        )
        read = {
            record["log.record.uid"]: record
            for record in records
            if self.begin - MARGIN <= time_of(record) < self.end + MARGIN
            and host in (None, record["server.address"])
            and all(record.get(OF_RECORDS[key], "(unknown)") == value for key, value in where if key in OF_RECORDS)
        }
        earlier = {
            record["visitor.id"]
            for record in records
            if time_of(record) < self.begin and host in (None, record["server.address"])
        }

        def is_chosen(session: Session, key: str, value: str) -> bool:
            if key == "returning":
                return (session.visitor in earlier) == (value == "yes")
            return session.is_chosen(key, value)

        chosen = [session for session in sessions_of(read.values()) if all(is_chosen(session, *pair) for pair in where)]
        members = {record["log.record.uid"] for session in chosen for record in session.records}
        if all(key in OF_RECORDS for key, _ in where):
            members = set(read)
        self.members = members
        self.records = [record for uid, record in read.items() if uid in members and self._is_inside(record)]
        self.views = [record for record in self.records if is_view(record)]
        self.returning = earlier & {record["visitor.id"] for record in self.views}
        self.sessions = [
            session
            for session in chosen
            if self.begin <= session.began < self.end and any(map(self._is_under, session.views))
        ]
        self.counts = [
            count
            for count in {count["log.record.uid"]: count for count in counts}.values()
            if self.begin <= time_of(count) < self.end and host in (None, count["server.address"])
        ]

    def _is_under(self, record: Record) -> bool:
        pages = [value for key, value in self.where if key == "page"]
        return any(fits(record["url.path"], page) for page in pages) or not pages

    def _is_inside(self, record: Record) -> bool:
        return self._is_under(record) and self.begin <= time_of(record) < self.end

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def totals(self) -> dict[str, Any]:
        """Return the totals of the whole range."""
        sessions, lasted = len(self.sessions), [session.seconds for session in self.sessions]
        visitors = people_of(self.views)
        return {
            "visitors": visitors,
            "new_visitors": visitors - len(self.returning),
            "returning_visitors": len(self.returning),
            "sessions": sessions,
            "views": len(self.views),
            "bounce_rate": sum(session.bounced for session in self.sessions) / sessions if sessions else None,
            "views_per_session": len(self.views) / sessions if sessions else None,
            "session_seconds": {"median": quantile(lasted, 0.5), "mean": sum(lasted) / sessions if sessions else None},
            "share": self.share(),
            "consent": consent_of_all(self.counts),
        }

    def report(self) -> dict[str, Any]:
        """Return all figures, without the range."""
        made = {**self.totals(), **self._compared(self.lists())}
        small = {"threshold": self.threshold, "merged": self.merged, "withheld": False}
        return {**made, "small_groups": small, "unreadable_files": []}

    def _compared(self, lists: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """Add the number of the earlier period to each row that has a name."""
        if self.before is None:
            return lists
        made = {}
        whole = ("by_day", "by_step", "by_hour", "consent_by_day", "retention", "goals", "funnels")
        earlier_lists = {figure: rows for figure, rows in self.before.lists().items() if figure not in whole}
        for figure, earlier in earlier_lists.items():
            groups = [row for row in earlier if not _is_rest(row)]
            sizes = {_texts(row): next(v for v in row.values() if not isinstance(v, str)) for row in groups}
            missing = 0 if self.threshold == 1 and len(groups) == len(earlier) else None
            made[figure] = [
                {**row, "before": None if _is_rest(row) else sizes.get(_texts(row), missing)} for row in lists[figure]
            ]
        return {figure: made.get(figure, rows) for figure, rows in lists.items()}

    def share(self) -> dict[str, Any]:
        counted = [count for count in self.counts if count["count.name"] in ("views", "views_recorded")]
        if self.where or not counted:
            return NOTHING
        recorded, views = (total(counted, name) for name in ("views_recorded", "views"))
        return {"views_recorded": recorded, "views": views, "share": recorded / views if views else None}

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Return the figures that are lists."""
        leaves = [record for record in self.records if record.get("event.name") == "page_leave"]
        told = [record for record in self.records if "event.name" in record and record not in leaves]
        requests = [record for record in self.records if record["record.kind"] != "event"]
        seen: list[Record] = [{**record, "viewed": is_view(record)} for record in self.views]
        seen += [{**record, "viewed": False} for record in leaves]
        advertised = [session for session in self.sessions if session.campaign != ("", "", "")]
        funnel = [count for count in self.counts if count["count.name"] in (*ANSWERS, "asked_first")]
        degraded = [count for count in self.counts if count["count.name"] == "degraded"]
        return {
            "by_day": [self._day(day) for day in self.days],
            "by_step": self.by_step(),
            "by_hour": [self._hour(hour) for hour in range(24)],
            "pages": self._grouped(seen, lambda r: {"path": r["url.path"]}, pages, people=viewers),
            "entry_pages": self._grouped(
                self.sessions,
                lambda s: {"path": s.views[0]["url.path"]},
                lambda ss: {
                    "sessions": len(ss),
                    "bounces": sum(s.bounced for s in ss),
                    "bounce_rate": sum(s.bounced for s in ss) / len(ss),
                },
            ),
            "exit_pages": self._grouped(
                self.sessions, lambda s: {"path": s.views[-1]["url.path"]}, lambda ss: {"sessions": len(ss)}
            ),
            "referrers": self._grouped(self.sessions, lambda s: {"referrer": s.referrer}, visits),
            "next_pages": self._grouped(self._pairs(), lambda p: {"path": p.path, "next": p.beside}, steps),
            "hosts": self._grouped(self.views, _by("server.address", "host"), viewings),
            "channels": self._grouped(self.sessions, lambda s: {"channel": channel_of(s)}, visits),
            "campaigns": self._grouped(
                advertised, lambda s: dict(zip(("source", "medium", "campaign"), s.campaign, strict=True)), visits
            ),
            **{
                figure: self._grouped(self.views, _by(key, name), viewings)
                for figure, key, name in (
                    ("devices", "user_agent.device", "device"),
                    ("browsers", "user_agent.name", "browser"),
                    ("systems", "user_agent.os", "os"),
                )
            },
            "countries": self._grouped(
                [view for view in self.views if COUNTRY in view], _by(COUNTRY, "country"), viewings
            ),
            "routes": self._grouped(
                requests,
                lambda r: {"method": r["http.request.method"], "route": r.get("http.route", "(no route)")},
                routes,
                other={"method": "", "route": _Rest("(other)")},
            ),
            "events": self._grouped(told, lambda r: {"event": r["event.name"]}, happened),
            "missing": self._grouped(
                self._missing(), lambda r: {"path": r["url.path"], "source": r["source"]}, asked_for
            ),
            "failing_pages": self._grouped(
                [record for record in requests if record["http.response.status_code"] >= 500],
                lambda r: {"path": r["url.path"]},
                asked_for,
            ),
            "slow_pages": self._grouped(
                [record for record in requests if kind_of(record) == "view"],
                lambda r: {"path": r["url.path"]},
                slowness,
            ),
            "downloads": self._grouped(*self._told(told, "download", "file"), happened),
            "outbound": self._grouped(*self._told(told, "outbound", "to"), happened),
            **self._properties(told),
            "failed_arrivals": self._grouped(
                [{**c, **failed_arrival(c)} for c in self.counts if c["count.name"] == "arrived_on_error"],
                lambda c: {key: c[key] for key in ("path", "source", "status")},
                lambda cs: {"visits": total(cs)},
                people=total,
            ),
            "degraded": self._grouped(
                degraded, lambda c: {"feature": c["count.detail"]}, lambda cs: {"views": total(cs)}, people=total
            ),
            "retention": self._retention(),
            **self._goals_and_funnels(),
            "consent_by_day": [
                {"day": str(day), **consent_of_day([c for c in self.counts if self._local(time_of(c)).date() == day])}
                for day in self.days
            ],
            "consent_by_host": self._grouped(
                funnel, lambda c: {"host": c["server.address"]}, consent, people=asked_people
            ),
            "consent_by_language": self._grouped(
                [count for count in funnel if count["count.name"] != "signal" and "consent.language" in count],
                lambda c: {"language": c["consent.language"]},
                consent_without_signal,
                people=asked_people,
            ),
            **{f"consent_by_{thing}": self._consent_by(thing) for thing in MEASURES},
        }

    def _pairs(self) -> list[Pair]:
        """Return the pages with those seen just after them in a session; one of the two is a page of the report."""
        return [
            Pair(session.visitor, first["url.path"], second["url.path"])
            for session in self.sessions
            for first, second in pairwise(session.views)
            if any(map(self._is_under, (first, second))) and first["url.path"] != second["url.path"]
        ]

    def _retention(self) -> list[dict[str, Any]]:
        """Return how many new visitors of each week came again in each later week."""
        weeks: dict[str, set[date]] = defaultdict(set)
        for record in self.views:
            if record["visitor.id"] not in self.returning:
                weeks[record["visitor.id"]].add(monday(time_of(record).astimezone(self.zone).date()))
        cohorts = Counter(min(own) for own in weeks.values())
        large = sorted(cohort for cohort, size in cohorts.items() if size >= self.threshold)
        last, rows = monday(self.days[-1]), []
        for cohort in large:
            row: dict[str, Any] = {"week": str(cohort), "visitors": cohorts[cohort]}
            for later in range(1, (last - large[0]).days // 7 + 1):
                week = cohort + timedelta(weeks=later)
                came = sum(min(own) == cohort and week in own for own in weeks.values())
                row[f"week_{later}"] = came if week <= last and (came == 0 or came >= self.threshold) else None
            rows.append(row)
        return rows

    def _missing(self) -> list[Record]:
        """Return the requests for missing pages with their sources; those of few visitors are joined for each page."""
        found = [record for record in self.records if record.get("http.response.status_code") == 404]
        by_source: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in found:
            by_source[record["url.path"], source_of(record)].append(record)
        return [
            {**record, "source": source if people_of(group) >= self.threshold else "(other)"}
            for (_, source), group in by_source.items()
            for record in group
        ]

    def _told(self, told: Sequence[Record], event: str, key: str) -> tuple[list[Record], Callable[[Record], Record]]:
        """Return the events of a name that have a text under this key, and what names them by it."""
        found = [record for record in told if record["event.name"] == event]
        found = [record for record in found if isinstance(record.get("event.properties", {}).get(key), str)]
        return found, lambda record: {key: record["event.properties"][key]}

    def _properties(self, told: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
        """Return what events bring: the numbers by event and property, the others also by value."""
        brought = [
            {"visitor.id": record["visitor.id"], "event": record["event.name"], "property": key, "value": value}
            for record in told
            for key, value in record.get("event.properties", {}).items()
            if isinstance(value, str) or abs(value) < 1e100
        ]
        numbers = [one for one in brought if not isinstance(one["value"], (bool, str))]
        others = [{**one, "value": written(one["value"])} for one in brought if one not in numbers]
        listed = self._grouped(numbers, lambda one: {key: one[key] for key in ("event", "property")}, measured_numbers)
        for row in listed:
            if row["event"] == "(other)":
                row.update(dict.fromkeys(("sum", "mean", "p50", "p95")))
        return {
            "properties": listed,
            "property_values": self._grouped(
                others,
                lambda one: {key: one[key] for key in ("event", "property", "value")},
                lambda rows: {"events": len(rows), "visitors": people_of(rows)},
            ),
        }

    def _goals_and_funnels(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "goals": [self._goal(name, step) for name, step in self.goals.items()],
            "funnels": [self._funnel(name, steps) for name, steps in self.funnels.items()],
        }

    def _goal(self, name: str, step: str) -> dict[str, Any]:
        def reached(session: Session) -> bool:
            return any(is_step(record, step) for record in session.records)

        def conversion(sessions: Sequence[Session]) -> dict[str, Any]:
            count, people = sum(map(reached, sessions)), people_of([each for each in sessions if reached(each)])
            return {"reached": count, "sessions": len(sessions), "conversion": count / len(sessions), "people": people}

        def grouped(sessions: Sequence[Session], named: Callable[[Session], dict[str, str]]) -> list[dict[str, Any]]:
            rows = self._grouped(sessions, named, conversion)
            for row in rows:
                if 0 < row.pop("people") < self.threshold:
                    row["reached"] = row["conversion"] = None
                    self.merged += 1
            return rows

        sessions = [session for session in self.sessions if reached(session)]
        people = people_of(sessions)
        shown = self._shown(len(sessions), people, people)
        listed = self.sessions if shown["sessions"] else []
        advertised = [session for session in listed if session.campaign != ("", "", "")]
        return {
            "goal": name,
            **shown,
            "conversion": None
            if shown["sessions"] is None or not self.sessions
            else len(sessions) / len(self.sessions),
            "by_step": [{"from": begin, **self._conversion(step, reached)} for step, begin in self._steps() if listed],
            "by_source": grouped(listed, lambda s: {"referrer": s.referrer}),
            "by_campaign": grouped(
                advertised, lambda s: dict(zip(("source", "medium", "campaign"), s.campaign, strict=True))
            ),
            "by_entry_page": grouped(listed, lambda s: {"path": s.views[0]["url.path"]}),
        }

    def _conversion(self, step: str, reached: Callable[[Session], bool]) -> dict[str, Any]:
        """Return how many sessions of a step of time reached a goal."""
        sessions = [session for session in self.sessions if self._step_of_time(session.began) == step]
        there = [session for session in sessions if reached(session)]
        few, few_there = (0 < people_of(those) < self.threshold for those in (sessions, there))
        return {
            "reached": None if few_there else len(there),
            "sessions": None if few else len(sessions),
            "conversion": None if few or few_there or not sessions else len(there) / len(sessions),
        }

    def _funnel(self, name: str, labels: Sequence[str]) -> dict[str, Any]:
        steps = [self._step(label) for label in labels]
        of_visitor: dict[str, list[Session]] = defaultdict(list)
        for session in self.sessions:
            of_visitor[session.visitor].append(session)
        # Sessions on two hosts can begin at the same time. Any order would do, but engines need one.
        all_steps = [*self.goals.values(), *(self._step(label) for given in self.funnels.values() for label in given)]
        numbered = [*dict.fromkeys(all_steps)]
        ways = [
            [
                record
                for session in sorted(own, key=lambda s: (s.began, trail(s, numbered)))
                for record in session.records
            ]
            for own in of_visitor.values()
        ]
        far = [steps_taken(session.records, steps) for session in self.sessions]
        far_of_visitors = [steps_taken(way, steps) for way in ways]
        rows: list[dict[str, Any]] = []
        for number, label in enumerate(labels, 1):
            sessions = [session for session, steps_far in zip(self.sessions, far, strict=True) if steps_far >= number]
            visitors = sum(steps_far >= number for steps_far in far_of_visitors)
            now = self._shown(len(sessions), people_of(sessions), visitors)
            before = rows[-1] if rows else {}
            lost = {
                f"lost_{key}": None if value is None or before.get(key) is None else before[key] - value
                for key, value in now.items()
            }
            first = rows[0]["sessions"] if rows else now["sessions"]
            share = now["sessions"] / first if first and now["sessions"] is not None else None
            rows.append({"step": label, **now, **lost, "conversion": share})
        return {"funnel": name, "steps": rows}

    def _step(self, label: str) -> str:
        return str(self.goals[label[5:]]) if label.startswith("goal:") else label

    def _shown(self, sessions: int, people: int, visitors: int) -> dict[str, int | None]:
        """Return sessions and visitors; None for a number that stands for too few visitors."""
        shown = {
            "sessions": None if 0 < people < self.threshold else sessions,
            "visitors": None if 0 < visitors < self.threshold else visitors,
        }
        self.merged += None in shown.values()
        return shown

    def _consent_by(self, thing: str) -> list[dict[str, Any]]:
        names = {f"{name}_by_{thing}": name for name in MEASURES[thing]}
        counts = [
            {**count, "count.name": names[count["count.name"]]} for count in self.counts if count["count.name"] in names
        ]

        def measured(group: Sequence[Record]) -> dict[str, Any]:
            made: dict[str, Any] = {name: total(group, name) for name in MEASURES[thing]}
            if thing == "device":
                return made | {"granted_of_questions": made["granted"] / made["asked"] if made["asked"] else None}
            answered = made["granted"] + made["refused"] + made.get("partial", 0)
            made["unanswered"] = max(0, made["asked"] - answered + made["changed"])
            return made | {"granted_of_answers": made["granted"] / answered if answered else None}

        return self._grouped(counts, lambda count: {thing: count["count.detail"]}, measured, people=asked_people)

    def _day(self, day: date) -> dict[str, Any]:
        views = [record for record in self.views if self._local(time_of(record)).date() == day]
        sessions = [session for session in self.sessions if self._local(session.began).date() == day]
        counts = [count for count in self.counts if self._local(time_of(count)).date() == day]
        return {"day": str(day), **self._of_time(views, sessions, counts)}

    def by_step(self) -> list[dict[str, Any]]:
        """Return the figures of each step, in order."""
        return [self._of_step(step, begin) for step, begin in self._steps()]

    def _steps(self) -> list[tuple[str, str]]:
        """Return each step, in order, and when it begins: a step is a text, and those of any time are the steps."""
        if self.step != "hour":
            return [(step, step) for step in dict.fromkeys(map(self._step_of_day, self.days))]
        quarters = int((self.end - self.begin) / timedelta(minutes=15))
        moments = [self.begin + timedelta(minutes=15) * number for number in range(quarters)]
        # An hour that a change of clocks cuts begins in the middle.
        begins = {self._step_of_time(moment): self._local(moment) for moment in reversed(moments)}
        return [(step, begins[step].isoformat(timespec="minutes")) for step in reversed(begins)]

    def _of_step(self, step: str, begin: str) -> dict[str, Any]:
        views = [record for record in self.views if self._step_of_time(time_of(record)) == step]
        counts = [count for count in self.counts if self._step_of_time(time_of(count)) == step]
        sessions = [session for session in self.sessions if self._step_of_time(session.began) == step]
        return {"from": begin, **self._of_time(views, sessions, counts)}

    def _of_time(
        self, views: Sequence[Record], sessions: Sequence[Session], counts: Sequence[Record]
    ) -> dict[str, Any]:
        counted = [count for count in counts if count["count.name"] in ("views", "views_recorded")]
        counted = [] if self.where else counted
        shown = {"visitors": people_of(views), "sessions": len(sessions), "views": len(views)}
        return {
            **(dict.fromkeys(shown) if self._are_few(views, sessions) else shown),
            "all_views_recorded": total(counts, "views_recorded") if counted else None,
            "all_views": total(counts, "views") if counted else None,
        }

    def _step_of_time(self, moment: datetime) -> str:
        local = self._local(moment)
        if self.step == "hour":
            return f"{local:%Y-%m-%dT%H}{local:%z}"
        return self._step_of_day(local.date())

    def _step_of_day(self, day: date) -> str:
        if self.step == "week":
            day -= timedelta(days=day.weekday())
        elif self.step == "month":
            day = day.replace(day=1)
        return str(max(day, self.days[0]))

    def _are_few(self, views: Sequence[Record], sessions: Sequence[Session]) -> bool:
        """Tell whether a time of a segment has few visitors, of views or of sessions that began."""
        return bool(self.where) and any(0 < people_of(those) < self.threshold for those in (views, sessions))

    def _hour(self, hour: int) -> dict[str, Any]:
        views = [record for record in self.views if self._local(time_of(record)).hour == hour]
        sessions = [session for session in self.sessions if self._local(session.began).hour == hour]
        shown = {"views": len(views), "sessions": len(sessions)}
        return {"hour": hour, **(dict.fromkeys(shown) if self._are_few(views, sessions) else shown)}

    def _grouped(
        self,
        things: Sequence[Any],
        named: Callable[[Any], dict[str, str]],
        measured: Callable[[Sequence[Any]], dict[str, Any]],
        *,
        people: Callable[[Sequence[Any]], int] | None = None,
        other: dict[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        people = people or people_of

        def size(group: Sequence[Any]) -> float:
            return float(next(iter(measured(group).values())))

        groups: dict[tuple[tuple[str, str], ...], list[Any]] = defaultdict(list)
        for thing in things:
            groups[tuple(named(thing).items())].append(thing)
        groups = {name: group for name, group in groups.items() if people(group) > 0}
        large = {name: group for name, group in groups.items() if people(group) >= self.threshold}
        self.merged += len(groups) - len(large)
        order = sorted(large, key=lambda name: (-size(large[name]), _sorted_as(name)))
        order = order[: self.limit]
        rest = [thing for name, group in groups.items() if name not in order for thing in group]
        if rest and people(rest) < self.threshold:
            rest = [*rest, *large[order.pop()]] if order else []
        rows = [{**dict(name), **measured(large[name])} for name in order]
        rows.sort(key=lambda row: -next(value for value in row.values() if not isinstance(value, str)))
        columns = list(named(things[0])) if things else []
        other = other or dict(zip(columns, (_Rest("(other)"), "", ""), strict=False))
        return [*rows, {**other, **measured(rest)}] if rest else rows


def _texts(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(value for value in row.values() if isinstance(value, str))


class _Rest(str):
    """The name of the row of all other groups. A group may have the same name: prefixes that are not told apart."""

    __slots__ = ()


def _is_rest(row: dict[str, Any]) -> bool:
    return any(isinstance(value, _Rest) for value in row.values())


def _sorted_as(name: tuple[tuple[str, str], ...]) -> str:
    """Return the key by which engines sort rows of equal size: they sort campaigns by their encoded names."""
    if name[0][0] == "source":
        return "&".join(quote_plus(value) for _, value in name)
    return "\x1f".join(value for _, value in name)


def fits(path: str, pattern: str) -> bool:
    """Return whether a path is the one of a filter, or begins with it."""
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def site_of(host: str | None) -> str:
    """Return a host without "www."."""
    return (host or "").removeprefix("www.")


def is_step(record: Record, step: str) -> bool:
    """Return whether a record is a step of a goal or a funnel: a view of a page, or an event."""
    if step.startswith("event:"):
        return bool(record.get("event.name") == step[6:])
    path = record["url.path"]
    return is_view(record) and bool(path.startswith(step[:-1]) if step.endswith("*") else path == step)


def steps_taken(records: Iterable[Record], steps: Sequence[str]) -> int:
    """Return how many steps were taken, one record each, in their order."""
    taken = 0
    for record in records:
        taken += taken < len(steps) and is_step(record, steps[taken])
    return taken


def trail(session: Session, steps: Sequence[str]) -> str:
    """Return the steps that each record of a session is, as engines write them."""
    marks = ["".join(f"<{n}>" for n, step in enumerate(steps) if is_step(record, step)) for record in session.records]
    return "".join(f"{mark};" for mark in marks if mark)


def written(value: str | bool) -> str:
    """Return a text or a boolean as a list shows it."""
    return value if isinstance(value, str) else str(value).lower()


def measured_numbers(brought: Sequence[Any]) -> dict[str, Any]:
    """Return the measures of a property."""
    values = [one["value"] for one in brought]
    return {
        "events": len(values),
        "visitors": people_of(brought),
        "sum": float(sum(values)),
        "mean": sum(values) / len(values),
        "p50": quantile(values, 0.5),
        "p95": quantile(values, 0.95),
    }


def is_view(record: Record) -> bool:
    """Return whether a record is a page view."""
    return kind_of(record) == "view" or record.get("event.name") == "page_view"


def kind_of(record: Record) -> str:
    """Return the kind of a record."""
    return str(record["record.kind"])


def begin_of(record: Record) -> datetime:
    """Return when the activity of a record began: a page that is left was visible before."""
    visible = record["duration_ms"] if record.get("event.name") == "page_leave" else 0
    return time_of(record) - timedelta(milliseconds=visible)


def end_of(record: Record) -> datetime:
    """Return when the activity of a record ended: with the end of the response."""
    lasted = record["duration_ms"] if record["record.kind"] != "event" else 0
    return time_of(record) + timedelta(milliseconds=lasted)


def sessions_of(records: Iterable[Record]) -> list[Session]:
    """Return the sessions of each visitor on each host that have a view."""
    by_visitor: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_visitor[record["visitor.id"], record["server.address"]].append(record)
    made: list[Session] = []
    for own in by_visitor.values():
        last = None
        for record in sorted(own, key=order):
            campaign = campaign_of(record)
            is_new = last is None or begin_of(record) - last > PAUSE
            if is_new or campaign not in (("", "", ""), made[-1].campaign):
                made.append(Session(campaign))
            made[-1].records.append(record)
            last = max(last or end_of(record), end_of(record))
    return [session for session in made if session.views]


def order(record: Record) -> tuple[datetime, bool, str]:
    """Return the sort key of a record: its begin; at the same time views and events come first."""
    return begin_of(record), kind_of(record) == "request", record["log.record.uid"]


def campaign_of(record: Record) -> Campaign:
    """Return the campaign in the address of a page."""
    if kind_of(record) == "request":
        return "", "", ""
    given = parse_qs(record.get("url.query", ""))
    source, medium, name = (given.get(f"utm_{part}", [""])[0] for part in ("source", "medium", "campaign"))
    if not (source or medium or name):
        clicked = parse_qs(record.get("url.query", ""), keep_blank_values=True).keys() & CLICK_IDS.keys()
        return (CLICK_IDS[min(clicked)], "cpc", "") if clicked else ("", "", "")
    return source, medium, name


def channel_of(session: Session) -> str:
    """Return the way on which a session came."""
    if session.campaign != ("", "", ""):
        if session.campaign[:2] in PAID_SEARCH:
            return "paid search"
        return MEDIUMS.get(session.campaign[1], "campaign")
    if session.referrer in ("(direct)", "(internal)"):
        return "direct" if session.referrer == "(direct)" else "unknown"
    return KNOWN_HOSTS.get(str(urlsplit(session.referrer).hostname), "other site")


def monday(day: date) -> date:
    """Return the first day of a week."""
    return day - timedelta(days=day.weekday())


def people_of(things: Sequence[Any]) -> int:
    """Return the number of visitors of records or sessions."""
    return len({thing.visitor if isinstance(thing, (Session, Pair)) else thing["visitor.id"] for thing in things})


def viewers(records: Sequence[Record]) -> int:
    """Return the number of visitors with a page view."""
    return people_of([record for record in records if record["viewed"]])


def pages(records: Sequence[Record]) -> dict[str, Any]:
    """Return the measures of a page."""
    leaves = [record["duration_ms"] / 1000 for record in records if record.get("event.name") == "page_leave"]
    views = [record for record in records if record["viewed"]]
    return {"views": len(views), "visitors": people_of(views), "median_seconds": quantile(leaves, 0.5)}


def visits(sessions: Sequence[Session]) -> dict[str, int]:
    """Return the measures of a source of sessions."""
    return {"sessions": len(sessions), "visitors": people_of(sessions)}


def happened(events: Sequence[Record]) -> dict[str, int]:
    """Return the measures of an event."""
    return {"events": len(events), "visitors": people_of(events)}


def steps(pairs: Sequence[Pair]) -> dict[str, int]:
    """Return the measures of a page beside another."""
    return {"times": len(pairs), "visitors": people_of(pairs)}


def viewings(records: Sequence[Record]) -> dict[str, int]:
    """Return the measures of a browser, device or system."""
    return {"visitors": people_of(records), "views": len(records)}


def routes(records: Sequence[Record]) -> dict[str, Any]:
    """Return the measures of a route."""
    times = [record["duration_ms"] for record in records]
    return {
        "requests": len(records),
        **{f"{c}xx": sum(r["http.response.status_code"] // 100 == c for r in records) for c in (2, 3, 4, 5)},
        **{f"p{share}_ms": quantile(times, share / 100) for share in (50, 95, 99)},
    }


def asked_for(records: Sequence[Record]) -> dict[str, int]:
    """Return the measures of a page that failed or is missing."""
    return {"requests": len(records), "visitors": people_of(records)}


def slowness(records: Sequence[Record]) -> dict[str, Any]:
    """Return the measures of a slow page."""
    times = [record["duration_ms"] for record in records]
    return {"p95_ms": quantile(times, 0.95), "p50_ms": quantile(times, 0.5), "requests": len(records)}


def source_of(record: Record) -> str:
    """Return where a request came from: a page of this site, another site, or neither."""
    parts = urlsplit(record.get("http.request.referrer", ""))
    if site_of(parts.hostname) == site_of(record["server.address"]):
        return parts.path or "(internal)"
    return str(record.get("http.request.referrer") or "(direct)")


def failed_arrival(count: Record) -> dict[str, str]:
    """Return what the detail of a count says of an error with which visits began."""
    status, source, path = count["count.detail"].split(" ", 2)
    return {"path": path, "source": source, "status": status}


def total(counts: Sequence[Record], name: str | None = None) -> int:
    """Return the sum of counts."""
    return sum(count["count.value"] for count in counts if name in (None, count["count.name"]))


def asked_people(counts: Sequence[Record]) -> int:
    """Return how many people are behind counts, at least: somebody is asked on many pages, but answers once."""
    answers = sum(total(counts, name) for name in ("granted", "refused", "partial"))
    others = [total(counts, name) for name in ("asked_first", "withdrawn", "signal")]
    return max(answers - total(counts, "changed"), *others, min(total(counts, "asked"), 1))


def consent(counts: Sequence[Record]) -> dict[str, int]:
    """Return the measures of consent."""
    made = {name: total(counts, name) for name in ANSWERS}
    answered = made["granted"] + made["refused"] + made["partial"]
    made["unanswered"] = max(0, made["asked"] - answered + made["changed"])
    return made


def consent_of_day(counts: Sequence[Record]) -> dict[str, Any]:
    """Return the measures of consent of a day, with the share of each answer."""
    made: dict[str, Any] = consent(counts)
    answered = made["granted"] + made["refused"] + made["partial"]
    for answer in ("granted", "refused"):
        made[f"{answer}_of_answers"] = made[answer] / answered if answered else None
    return made


def consent_of_all(counts: Sequence[Record]) -> dict[str, Any]:
    """Return the measures of consent of the whole range."""
    more = {name: total(counts, name) for name in ("asked_first", "answered_first", "settings")}
    made: dict[str, Any] = {**consent(counts), **more}
    answered = made["granted"] + made["refused"] + made["partial"]
    return made | {
        "ignored": max(0, made["asked_first"] - answered + made["changed"]),
        "granted_of_answers": made["granted"] / answered if answered else None,
        "granted_of_questions": made["granted"] / made["asked"] if made["asked"] else None,
    }


def consent_without_signal(counts: Sequence[Record]) -> dict[str, int]:
    """Return the measures of consent without signals, which have no language."""
    return {name: value for name, value in consent(counts).items() if name != "signal"}


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return a quantile, interpolated between the two nearest values."""
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _by(key: str, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that groups records by a key, under its name in the report."""
    return lambda record: {name: record.get(key, "(unknown)")}
