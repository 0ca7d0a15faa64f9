"""Whose a cookie usually is: the names that tags of third parties use. `known_cookies.toml` has them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from cookie_consent.policy.parts import Recipient

_PURPOSES = ("analytics", "ads")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCookie:
    """A cookie that a vendor's tags set on a site's own host.

    Args:
        name: its name, in which * stands for any characters.
        vendor: who gets data by it.
        purpose: what it is usually for.
        known_as: words of which a recipient's name or origins have one if it is the vendor.
        self_hosted: whether sites may run it themselves, so that nobody else gets data.
    """

    name: str
    vendor: str
    purpose: str
    known_as: tuple[str, ...]
    self_hosted: bool

    def is_of(self, recipients: Iterable[Recipient]) -> bool:
        """Return whether the vendor is one of the recipients."""
        said = [" ".join([recipient.name, *recipient.origins]).lower() for recipient in recipients]
        return any(word in text for word in self.known_as for text in said)


@cache
def _known_cookies() -> tuple[KnownCookie, ...]:
    """Return all of them, the longest name first."""
    data = tomllib.loads((files(__package__) / "known_cookies.toml").read_text(encoding="utf-8"))
    known = [
        KnownCookie(
            name=name,
            vendor=vendor,
            purpose=purpose,
            known_as=(vendor.lower(), *row.get("known_as", ())),
            self_hosted=row.get("self_hosted", False),
        )
        for vendor, row in data.items()
        for purpose in _PURPOSES
        for name in row.get(purpose, ())
    ]
    return tuple(sorted(known, key=lambda cookie: len(cookie.name), reverse=True))


def known_cookie(name: str) -> KnownCookie | None:
    """Return whose a cookie of this name usually is; None if no table says.

    Args:
        name: the cookie's name, or the pattern of several.
    """
    return next((cookie for cookie in _known_cookies() if fnmatchcase(name, cookie.name)), None)
