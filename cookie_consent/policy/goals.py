"""Goals of a site, and funnels: what reports count as success, and the way to it. Visitors do not see them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.parts import CheckedPart
from cookie_consent.policy.syntax import wrong_id

FEWEST_STEPS, MOST_STEPS = 2, 20
OF_EVENT, OF_GOAL = "event:", "goal:"
"""How a step of a funnel begins that is an event, or a goal. Other steps are pages."""
_EVENT = re.compile(r"[a-z0-9_.:-]{1,64}")
_PAGE = re.compile(r"/[^?#*\s]*\*?")
_WRITE_PAGE = 'Write a path like "/welcome", without query; a * at its end stands for whatever follows.'
_WRITE_EVENT = "Write 1 to 64 of a-z, 0-9 and _ . : - as the page sends it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal(CheckedPart):
    """What a visit is for. A session reaches a goal with an event, or with a view of a page.

    Args:
        id: lowercase letters, digits, - and _, a letter first.
        event: the name of the event; "" for a page.
        page: the path of the page; a * at its end stands for whatever follows; "" for an event.

    Raises:
        PolicyError: a value is not valid, or it names both or neither.
    """

    id: str
    event: str = ""
    page: str = ""

    @property
    def step(self) -> str:
        """The same as a step of a funnel."""
        return self.page or f"{OF_EVENT}{self.event}"

    def _errors(self) -> Iterator[PolicyError]:
        yield from wrong_id(self.id)
        if bool(self.event) is bool(self.page):
            names = "both an event and a page" if self.event else "neither an event nor a page"
            yield PolicyError(f"the goal has {names}", 'Write event = "signup", or page = "/welcome".', key="event")
        if self.event and not _EVENT.fullmatch(self.event):
            yield PolicyError(f"{self.event!r} is no name of an event", _WRITE_EVENT, key="event")
        if self.page and not _PAGE.fullmatch(self.page):
            yield PolicyError(f"{self.page!r} is no path of a page", _WRITE_PAGE, key="page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(CheckedPart):
    """Steps that lead to a goal, in their order.

    Args:
        id: lowercase letters, digits, - and _, a letter first.
        steps: 2 to 20 steps. Each is a page ("/cart", "/shop*"), an event ("event:paid") or a goal ("goal:signup").

    Raises:
        PolicyError: a value is not valid.
    """

    id: str
    steps: tuple[str, ...]

    def _errors(self) -> Iterator[PolicyError]:
        yield from wrong_id(self.id)
        if not FEWEST_STEPS <= len(self.steps) <= MOST_STEPS:
            remedy = f'Write {FEWEST_STEPS} to {MOST_STEPS}, as in ["/shop", "/cart", "event:paid"].'
            yield PolicyError(f"the number of steps is {len(self.steps)}", remedy, key="steps")
        for step in self.steps:
            yield from _wrong_step(step)


def _wrong_step(step: str) -> Iterator[PolicyError]:
    if step.startswith(OF_EVENT):
        if not _EVENT.fullmatch(step.removeprefix(OF_EVENT)):
            yield PolicyError(f"{step!r} names no event", _WRITE_EVENT, key="steps")
    elif not step.startswith(OF_GOAL) and not _PAGE.fullmatch(step):
        remedy = f'Write a page ("/cart"), an event ("{OF_EVENT}paid") or a goal ("{OF_GOAL}signup").'
        yield PolicyError(f"{step!r} is no step", remedy, key="steps")


def find_errors_in_funnels(goals: Iterable[Goal], funnels: Iterable[Funnel]) -> Iterator[PolicyError]:
    """Yield an error for each step that is an unknown goal."""
    known = {goal.id for goal in goals}
    for funnel in funnels:
        for step in funnel.steps:
            if step.startswith(OF_GOAL) and (goal := step.removeprefix(OF_GOAL)) not in known:
                remedy = f"{did_you_mean(goal, known)} Or declare [goals.{goal or 'NAME'}]."
                yield PolicyError(f'there is no goal "{goal}"', remedy, table=f"[funnels.{funnel.id}]", key="steps")
