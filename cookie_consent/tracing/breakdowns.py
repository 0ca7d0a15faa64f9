"""Sums of questions and answers by purpose, policy, device and part of the site, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cookie_consent.policy.policy import Policy

OTHER_PREFIXES = "(other)"
"""The prefix of pages beyond the first fifty prefixes, and of those with a long or unprintable one, or a person's."""
MAX_PREFIXES = 50
MOST = 2000
"""Sums are to be taken out when there are this many."""
_BY = frozenset(("asked", "asked_first", "granted", "refused", "partial"))
"""What is added up by policy, device and prefix. Changes and withdrawals are only added up by purpose."""
_LONGEST_PREFIX = 32
_OF_PERSONS = frozenset("@~")
"""Signs in the paths of persons' pages and in addresses of mail. Counts of a visitor who refuses may name nobody."""


class Shown(NamedTuple):
    """What a question looked like and where it was, for the sums. "" stands for what is not known.

    Args:
        policy: the policy that it was about.
        device: the class of the device.
        path: the path of the page.
        asked: the ids of the purposes that a page with the question asked for.
    """

    policy: Policy
    device: str
    path: str
    asked: tuple[str, ...] = ()


class Breakdowns:
    """Adds up questions and answers by more than one thing, and gives the sums by each.

    A question costs one look-up, whatever it is added up by.

    Attributes:
        sums: the sums of what was alike in all.
    """

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str, Policy, str, str, tuple[str, ...], tuple[tuple[str, str], ...]], int] = {}
        self._prefixes: dict[str, str] = {}

    def add(self, name: str, host: str, shown: Shown, purposes: tuple[tuple[str, str], ...] = ()) -> None:
        """Add a question or an answer.

        Args:
            name: what is counted; "asked_first" counts as "asked" too.
            host: the host.
            shown: what was shown.
            purposes: for answers, the name of a count and a purpose: what was answered to it.
        """
        policy, device, path, asked = shown
        end = path.find("/", 1)
        start = path if end < 0 else path[:end]
        prefix = self._prefixes.get(start)
        if prefix is None:
            prefix = self._prefix(start)
        key = (name, host, policy, device, prefix, asked, purposes)
        self.sums[key] = self.sums.get(key, 0) + 1

    def take(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield host, name, detail and value of the sums by each thing, and forget them."""
        sums, self.sums = self.sums, {}
        for (name, host, policy, device, prefix, asked, purposes), value in sums.items():
            by = {"policy": policy.version, "device": device, "prefix": prefix}
            names = ("asked", "asked_first") if name == "asked_first" else (name,)
            for one in _BY.intersection(names):
                yield from ((host, f"{one}_by_{kind}", detail, value) for kind, detail in by.items() if detail)
            by_purpose = (*(("asked", id_) for id_ in asked), *purposes)
            yield from ((host, f"{one}_by_purpose", id_, value) for one, id_ in by_purpose)

    def begin_day(self) -> None:
        """Forget the prefixes of the day before, whatever clients filled them with."""
        self._prefixes = {}

    def _prefix(self, start: str) -> str:
        """Return the prefix for the beginning of a path. Clients can send any, so only fifty are told apart."""
        if not start:
            return ""
        if (
            len(self._prefixes) >= MAX_PREFIXES
            or len(start) > _LONGEST_PREFIX
            or not start.isprintable()
            or not _OF_PERSONS.isdisjoint(start)
        ):
            return OTHER_PREFIXES
        self._prefixes[start] = start
        return start
