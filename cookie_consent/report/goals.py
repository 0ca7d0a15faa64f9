"""Goals and funnels of a report, and how records are marked with their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookie_consent.policy.goals import Funnel, Goal

_EVENT, _GOAL, _BEGINNING = "event:", "goal:", "*"
"""How a step begins that is an event or a goal, and how one ends that is the beginning of a path. `policy.goals` has
the same, but a report without goals does not import it."""


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
