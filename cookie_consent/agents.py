"""Browser, system and device of a user agent, by the user-agents package, read once for each distinct text."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import user_agents

_LONGEST = 512
"""Longer texts are cut: real ones are shorter, and the time to read one grows with its length."""


class Agent(NamedTuple):
    """What a user agent is.

    Args:
        name: the browser's family.
        os: the system's family.
        device: "mobile", "tablet", "pc" or "other".
        is_bot: whether it says that it is a robot.
    """

    name: str
    os: str
    device: str
    is_bot: bool


def read_agent(field: bytes) -> Agent:
    """Return what a User-Agent field says."""
    return _read(field[:_LONGEST])


@lru_cache(maxsize=2048)
def _read(field: bytes) -> Agent:
    agent = user_agents.parse(field.decode("latin-1"))
    device = "mobile" if agent.is_mobile else "tablet" if agent.is_tablet else "pc" if agent.is_pc else "other"
    return Agent(agent.browser.family, agent.os.family, device, agent.is_bot)
