"""Reads who sends a request, with the user-agents package and a cache, and whether a person sees the page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from cookie_consent.base.bounds import LONGEST_KEPT

_OF_PAGES = (b"", b"document")
FRAMES = frozenset((b"iframe", b"frame", b"embed", b"object", b"fencedframe"))
"""Values of Sec-Fetch-Dest in requests for documents inside other documents (Fetch, request destinations)."""


class Agent(NamedTuple):
    """The content of a User-Agent field.

    Args:
        name: the browser's family.
        os: the operating system's family.
        device: "mobile", "tablet", "pc" or "other".
        is_bot: whether it identifies itself as a bot.
    """

    name: str
    os: str
    device: str
    is_bot: bool


@cache
def load_parser() -> Any:
    """Return the package's function, which brings tables of all browsers. Call it before the first visitor comes.

    The tables take a third of the time in which the middleware starts, so only what reads user agents loads them.
    """
    from user_agents import parse

    return parse


def read_agent(field: bytes) -> Agent:
    """Read the first 256 bytes of a User-Agent field, which is where browsers and bots name themselves."""
    return read_short(field[:LONGEST_KEPT])


@lru_cache(maxsize=2048)
def read_short(field: bytes) -> Agent:
    """Read a User-Agent field of at most 256 bytes, through a cache."""
    # Latin-1 reads any bytes, so no field can raise.
    agent = load_parser()(field.decode("latin-1"))
    device = "mobile" if agent.is_mobile else "tablet" if agent.is_tablet else "pc" if agent.is_pc else "other"
    return Agent(agent.browser.family, agent.os.family, device, agent.is_bot)


def is_from_robot(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from a recognised bot, which cannot answer a question.

    Args:
        fields: the request's header fields by name, in lowercase.
    """
    return read_agent(fields.get(b"user-agent", b"")).is_bot


def find_page_view_host(fields: Mapping[bytes, bytes], *, not_modified: bool = False) -> bytes | None:
    """Return the Host field of a request that can be a page view ("" if it has none), or None.

    A page that a script fetches, that is in a frame, or that is prefetched is no page view (Fetch Metadata,
    "Sec-Fetch-Dest").

    Args:
        fields: the header fields by name, in lowercase.
        not_modified: whether the response is "not modified", whose fields need not say that it is a page. Then only a
            browser's "Sec-Fetch-Dest: document" counts.
    """
    destination = fields.get(b"sec-fetch-dest", b"")
    if destination not in (_OF_PAGES[1:] if not_modified else _OF_PAGES):
        return None
    return None if is_prefetch(fields) else fields.get(b"host", b"")


def is_prefetch(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a browser loads a page that nobody sees yet (Fetch, "Sec-Purpose")."""
    purpose = fields.get(b"sec-purpose", b"") + fields.get(b"purpose", b"")
    return b"prefetch" in purpose.lower()
