"""Goals of a site, and funnels: what reports count as success, and the way to it. Visitors do not see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from cookie_consent.policy.errors import Row
from cookie_consent.policy.parts import CheckedPart
from cookie_consent.policy.syntax import Fault, Id, rule

FEWEST_STEPS, MOST_STEPS = 2, 20
OF_EVENT, OF_GOAL = "event:", "goal:"
"""How a step of a funnel begins that is an event, or a goal. Other steps are pages."""
_PAGE = re.compile(r"/[^?#*\s]*\*?")
_check_event = rule(
    re.compile(r"[a-z0-9_.:-]{1,64}").fullmatch,
    "is no name of an event",
    "Write 1 to 64 of a-z, 0-9 and _ . : - as the page sends it.",
)
Event = Annotated[str, _check_event]
Page = Annotated[
    str,
    rule(
        _PAGE.fullmatch,
        "is no path of a page",
        'Write a path like "/welcome", without query; a * at its end stands for whatever follows.',
    ),
]


def _check_step(step: str) -> Iterator[Fault]:
    if step.startswith(OF_EVENT):
        yield from _check_event(step.removeprefix(OF_EVENT))
    elif not step.startswith(OF_GOAL) and not _PAGE.fullmatch(step):
        yield (
            f"{step!r} is no step",
            f'Write a page ("/cart"), an event ("{OF_EVENT}paid") or a goal ("{OF_GOAL}signup").',
        )


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

    id: Id
    event: Event = ""
    page: Page = ""

    @property
    def step(self) -> str:
        """The same as a step of a funnel."""
        return self.page or f"{OF_EVENT}{self.event}"

    def _rows(self) -> Iterator[Row]:
        yield (
            bool(self.event) is bool(self.page),
            "event",
            f"the goal has {'both an event and a page' if self.event else 'neither an event nor a page'}",
            'Write event = "signup", or page = "/welcome".',
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(CheckedPart):
    """Steps that lead to a goal, in their order.

    Args:
        id: lowercase letters, digits, - and _, a letter first.
        steps: 2 to 20 steps. Each is a page ("/cart", "/shop*"), an event ("event:paid") or a goal ("goal:signup").

    Raises:
        PolicyError: a value is not valid.
    """

    id: Id
    steps: tuple[Annotated[str, _check_step], ...]

    def _rows(self) -> Iterator[Row]:
        yield (
            not FEWEST_STEPS <= len(self.steps) <= MOST_STEPS,
            "steps",
            f"the number of steps is {len(self.steps)}",
            f'Write {FEWEST_STEPS} to {MOST_STEPS}, as in ["/shop", "/cart", "event:paid"].',
        )
