"""The answers of other consent tools that a site takes over, as the policy file declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.parts import NECESSARY, Cookie
from cookie_consent.policy.syntax import require_text

TOOLS: Mapping[str, str] = {
    "vanilla-cookieconsent": "cc_cookie",
    "klaro": "klaro",
    "orejime": "eu-consent",
    "tarteaucitron": "tarteaucitron",
    "osano": "cookieconsent_status",
    "cookiebot": "CookieConsent",
    "c15t": "c15t",
}
"""Tool -> the name of its cookie, if the site gave it no other. `decision.imported.readers` names the sources."""
WITH_REVISIONS = "vanilla-cookieconsent"
"""The tool whose cookies name the revision of the text that was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """The answers of another tool.

    Args:
        id: the tool, one of `TOOLS`.
        purposes: id of our purpose -> the tool's names for it. All of them must be granted there.
        cookie: the name of the tool's cookie; "" for the tool's default.
        path: the path of that cookie.
        domain: its Domain attribute; None if the site's hosts set it for themselves or a domain above them.
        revision: the revision whose answers count, for vanilla-cookieconsent.

    Raises:
        PolicyError: a value is not valid.
    """

    id: str
    purposes: Mapping[str, tuple[str, ...]]
    cookie: str = ""
    path: str = "/"
    domain: str | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        if self.id not in TOOLS:
            raise PolicyError(f'there is no reader for the cookie of "{self.id}"', did_you_mean(self.id, TOOLS))
        object.__setattr__(self, "purposes", {purpose: tuple(names) for purpose, names in self.purposes.items()})
        if not self.purposes:
            raise PolicyError("nothing is mapped", 'Write it as in { analytics = "statistics" }.', key="purposes")
        for purpose, names in self.purposes.items():
            if not names:
                raise PolicyError(f'"{purpose}" is mapped to nothing', "Name what was granted there.", key="purposes")
            for name in names:
                require_text(name, "purposes")
        if not self.cookie:
            object.__setattr__(self, "cookie", TOOLS[self.id])
        self.to_expire()  # checks name, path and domain
        if self.revision and self.id != WITH_REVISIONS:
            raise PolicyError(f"only cookies of {WITH_REVISIONS} name a revision", "Leave it out.", key="revision")

    def to_expire(self) -> Cookie:
        """Return the tool's cookie, to expire it once it is read."""
        return Cookie(name=self.cookie, purpose=NECESSARY, path=self.path, domain=self.domain)
