"""The answers of other consent tools that a site takes over, as the policy file declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cookie_consent.policy.checked_part import CheckedPart
from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.parts import NECESSARY, Cookie
from cookie_consent.policy.syntax import empty_text

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
class Import(CheckedPart):
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

    def _normalize(self) -> None:
        object.__setattr__(self, "purposes", {purpose: tuple(names) for purpose, names in self.purposes.items()})
        if not self.cookie:
            object.__setattr__(self, "cookie", TOOLS.get(self.id, ""))

    def _errors(self) -> Iterator[PolicyError]:
        if self.id not in TOOLS:
            yield PolicyError(f'there is no reader for the cookie of "{self.id}"', did_you_mean(self.id, TOOLS))
        if not self.purposes:
            yield PolicyError("nothing is mapped", 'Write it as in { analytics = "statistics" }.', key="purposes")
        for purpose, names in self.purposes.items():
            if not names:
                yield PolicyError(f'"{purpose}" is mapped to nothing', "Name what was granted there.", key="purposes")
            for name in names:
                yield from empty_text(name, "purposes")
        if self.cookie:
            yield from self._errors_of_cookie()
        if self.revision and self.id != WITH_REVISIONS:
            yield PolicyError(f"only cookies of {WITH_REVISIONS} name a revision", "Leave it out.", key="revision")

    def _errors_of_cookie(self) -> Iterator[PolicyError]:
        cookie = {"name": self.cookie, "purpose": NECESSARY, "path": self.path, "domain": self.domain}
        for error in Cookie.unchecked(cookie).errors():
            yield PolicyError(error.problem, error.remedy, key="cookie" if error.key == "name" else error.key)

    def to_expire(self) -> Cookie:
        """Return the tool's cookie, to expire it once it is read."""
        return Cookie(name=self.cookie, purpose=NECESSARY, path=self.path, domain=self.domain)
