"""Goals and funnels of a report: how records are marked with them, and how the rows of the report are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookie_consent.report.engines.engine import Engine, Given, Row
from cookie_consent.report.lists import CAMPAIGN, PATH, REFERRER, RankedList, number, ratio

if TYPE_CHECKING:
    from cookie_consent.policy.goals import Funnel, Goal

_EVENT, _GOAL, _BEGINNING = "event:", "goal:", "*"
"""How a step begins that is an event or a goal, and how one ends that is the beginning of a path. `policy.goals` has
the same, but a report without goals does not import it."""


def _reached(row: Row) -> Mapping[str, int | float | None]:
    sessions = number(row["sessions"])
    if row["reached"] is None:  # too few visitors
        return {"reached": None, "sessions": sessions, "conversion": None}
    reached = number(row["reached"])
    return {"reached": reached, "sessions": sessions, "conversion": ratio(reached, sessions)}


_LISTS = {
    "by_source": RankedList("goal_by_source", REFERRER, _reached),
    "by_campaign": RankedList("goal_by_campaign", CAMPAIGN, _reached),
    "by_entry_page": RankedList("goal_by_entry_page", PATH, _reached),
}
"""The lists of each goal."""
FLAT = ("goals", *(f"goals_{name}" for name in _LISTS), "funnels")
"""The names of what `flat` returns."""


@dataclass(frozen=True, slots=True)
class Goals:
    """Goals and funnels that a report counts.

    A step is a page ("/cart", "/shop*"), an event ("event:paid") or, in a funnel, a goal ("goal:signup").

    Args:
        goals: the name of each goal, and the step that reaches it.
        funnels: the name of each funnel, and its steps in their order.
    """

    goals: tuple[tuple[str, str], ...] = ()
    funnels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def declared(cls, goals: Sequence[Goal], funnels: Sequence[Funnel]) -> Goals:
        """Return goals and funnels as a policy declares them."""
        return cls(
            tuple((goal.id, goal.step) for goal in goals), tuple((funnel.id, funnel.steps) for funnel in funnels)
        )

    @property
    def given(self) -> dict[str, int | str]:
        """The parameters of the SQL texts that mark records; `marks` has a letter for each step."""
        kinds = "".join(map(_kind, self._marks))
        values = {f"mark_{number}": _value(step) for number, step in enumerate(self._marks)}
        return {"marks": kinds, **values} if kinds else {}

    def mark(self, step: str) -> str:
        """Return the mark of the records that are a step."""
        return f"<{self._marks.index(self._resolved(step))}>"

    @property
    def _marks(self) -> list[str]:
        """Each step once. Its place is its number in the marks of records."""
        steps = [step for _, step in self.goals] + [step for _, steps in self.funnels for step in steps]
        return list(dict.fromkeys(map(self._resolved, steps)))

    def _resolved(self, step: str) -> str:
        return dict(self.goals)[step.removeprefix(_GOAL)] if step.startswith(_GOAL) else step


def _kind(step: str) -> str:
    return "e" if step.startswith(_EVENT) else "b" if step.endswith(_BEGINNING) else "p"


def _value(step: str) -> str:
    return step.removeprefix(_EVENT).removesuffix(_BEGINNING)


def goals(engine: Engine, given: Given, asked: Goals, sessions: int) -> tuple[list[Row], int]:
    """Return a row for each goal, and how many numbers and groups were too small to be shown.

    Args:
        engine: an engine with the tables of the range, marked with the goals.
        given: the parameters of the SQL texts.
        asked: the goals.
        sessions: the number of all sessions.
    """
    rows, small = list[Row](), 0
    for name, step in asked.goals:
        of_goal = {**given, "goal": asked.mark(step)}
        (reached,) = engine.rows("goal", of_goal)
        shown = _shown({**reached, "people": reached["visitors"]}, given)
        conversion = None if shown["sessions"] is None else ratio(shown["sessions"], sessions)
        row: Row = {"goal": name, **shown, "conversion": conversion}
        for key, ranked in _LISTS.items():
            # Who reached the goal may not be told by the lists either.
            row[key], few = ranked.ask(engine, of_goal) if shown["sessions"] else ([], 0)
            small += few + sum(line["reached"] is None for line in row[key])
        rows.append(row)
        small += shown["sessions"] is None
    return rows, small


def funnels(engine: Engine, given: Given, asked: Goals) -> tuple[list[Row], int]:
    """Return a row for each funnel, and how many steps had too few visitors to be shown.

    Args:
        engine: an engine with the tables of the range, marked with the steps.
        given: the parameters of the SQL texts.
        asked: the funnels.
    """
    rows = list[Row]()
    for name, labels in asked.funnels:
        marks = {f"step_{number}": asked.mark(label) for number, label in enumerate(labels, 1)}
        found = sorted(engine.rows("funnel", {**given, **marks, "steps": len(labels)}), key=lambda row: row["step"])
        counted = [_shown(row, given) for row in found]
        rows.append({"funnel": name, "steps": _steps(labels, counted)})
    return rows, sum(None in (step["sessions"], step["visitors"]) for row in rows for step in row["steps"])


def _shown(row: Row, given: Given) -> dict[str, int | None]:
    """Return sessions and visitors; None for a number that too few visitors stand behind."""
    threshold = int(given["threshold"])
    return {
        name: None if 0 < number(row[people]) < threshold else number(row[name])
        for name, people in (("sessions", "people"), ("visitors", "visitors"))
    }


def _steps(labels: Iterable[str], counted: Sequence[Mapping[str, int | None]]) -> list[Row]:
    """Return the steps of a funnel, each with what was lost since the step before."""
    steps = []
    nothing = dict.fromkeys(("sessions", "visitors"))
    for label, now, before in zip(labels, counted, [nothing, *counted], strict=False):
        lost = {f"lost_{name}": _lost(now[name], before[name]) for name in now}
        of_first = None if now["sessions"] is None else ratio(now["sessions"], counted[0]["sessions"] or 0)
        steps.append({"step": label, **now, **lost, "conversion": of_first})
    return steps


def _lost(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else before - now


def flat(report: Mapping[str, Any], name: str) -> list[Row]:
    """Return goals or funnels as a table, as spreadsheets and terminals show them.

    Args:
        report: the result of `cookie_consent.report.report`.
        name: one of `FLAT`.
    """
    if name == "goals":
        return [{key: value for key, value in row.items() if key not in _LISTS} for row in report["goals"]]
    if name == "funnels":
        return [{"funnel": row["funnel"], **step} for row in report["funnels"] for step in row["steps"]]
    return [{"goal": row["goal"], **line} for row in report["goals"] for line in row[name.removeprefix("goals_")]]
