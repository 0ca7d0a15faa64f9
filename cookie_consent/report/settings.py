"""What a report takes from the policy file. The policy itself is not checked here: a report works without one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.base.clock import time_zone as find_time_zone

POLICY_FILE = "consent.toml"
"""The policy file that commands read if none is named."""
_EVENT = "event:"
_GOAL = "goal:"
_BEGINNING = "*"
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


_NO_GOALS = Goals()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site has set for its reports.

    Args:
        time_zone: the time zone of days and hours, by its IANA name.
        goals: the goals and funnels that a report counts.

    Raises:
        ValueError: there is no such time zone.
    """

    time_zone: str = UTC_NAME
    goals: Goals = _NO_GOALS

    def __post_init__(self) -> None:
        find_time_zone(self.time_zone)


def read_settings(policy: str | os.PathLike[str] | None) -> Settings:
    """Return the settings in a policy file.

    Args:
        policy: the file; None for settings at their defaults.

    Raises:
        ValueError: the file cannot be read, or a setting is wrong; the message says what is allowed.
    """
    if policy is None:
        return Settings()
    import tomllib  # only a site with a policy file pays for it

    file = os.fspath(policy)
    try:
        document = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{file} is no TOML: {error}.") from None
    goals = _read_goals(document, file)
    site = document.get("site")
    name = site.get("time_zone", UTC_NAME) if isinstance(site, Mapping) else UTC_NAME
    try:
        if not isinstance(name, str):
            raise ValueError(f'{name!r} is no text. Write a time zone like "Asia/Tokyo".')
        return Settings(name, goals)
    except ValueError as error:
        raise ValueError(f"{file}: [site] time_zone: {error}") from None


def default_policy() -> Path | None:
    """Return the policy file of the working folder; None if there is none."""
    file = Path(POLICY_FILE)
    return file if file.is_file() else None


def _read_goals(document: Mapping[str, Any], file: str) -> Goals:
    if not {"goals", "funnels"} & document.keys():
        return _NO_GOALS
    # Only a site with goals pays for these.
    from cookie_consent.policy.errors import PolicyError
    from cookie_consent.policy.reader import read_goals

    try:
        goals, funnels = read_goals(document)
    except PolicyError as error:
        raise error.at(file=file) from None
    steps_of_goals = tuple((goal.id, goal.step) for goal in goals)
    return Goals(steps_of_goals, tuple((funnel.id, funnel.steps) for funnel in funnels))
