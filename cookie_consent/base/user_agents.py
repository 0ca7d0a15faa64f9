"""Browser, system and device of a user agent, by the user-agents package, read once for each distinct text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import user_agents

from cookie_consent.base.limits import LONGEST_KEPT


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
    """Return what the first 256 bytes of a User-Agent field say, where browsers and robots name themselves."""
    return read_short(field[:LONGEST_KEPT])


@lru_cache(maxsize=2048)
def read_short(field: bytes) -> Agent:
    """Return the same for a field of no more than 256 bytes."""
    agent = user_agents.parse(field.decode("latin-1"))
    device = "mobile" if agent.is_mobile else "tablet" if agent.is_tablet else "pc" if agent.is_pc else "other"
    return Agent(agent.browser.family, agent.os.family, device, agent.is_bot)


def asks_robot(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from a recognised robot, which cannot answer.

    Args:
        fields: the request's header fields by their names in small letters.
    """
    return read_agent(fields.get(b"user-agent", b"")).is_bot
