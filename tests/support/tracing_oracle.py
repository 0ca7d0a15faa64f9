"""Decides which requests may be recorded and counted, from the rules of the design and without the package's code.

The policy of the site has four versions, one after the other, and three services with conditions of their own. An
answer holds the decision for each purpose, the version of the policy, the time and the signals.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.support.asgi import ROBOT

ANALYTICS, RESEARCH, MEDIA, ADS = "analytics", "research", "media", "ads"
TRACING = frozenset((ANALYTICS, RESEARCH))
"""The purposes that allow access tracing; one is enough."""
DAY = 86_400
LIFETIME = 60 * DAY
"""How long an answer is valid (seconds)."""
NOT_PLAYED = ("asked_first", "answered_first", "settings", "arrived_on_error")
"""Counts of which plays know nothing; `tests/tracing/test_counts.py` has them, and the sums by one thing."""


def is_played(name: str) -> bool:
    """Return whether plays know the count of this name."""
    return "_by_" not in name and name not in NOT_PLAYED


@dataclass(frozen=True)
class Terms:
    """The material facts of a purpose in a version of the policy.

    Args:
        days: the retention (days).
        recipients: the ids of the recipients.
    """

    days: int = 0
    recipients: frozenset[str] = frozenset()


LAB, MAPS, FILMS, AGENCY = (frozenset((id_,)) for id_ in ("lab", "maps", "films", "agency"))
VERSIONS: tuple[Mapping[str, Terms], ...] = (
    {ANALYTICS: Terms(300), RESEARCH: Terms(300, LAB), MEDIA: Terms(0, MAPS)},
    # A longer retention asks again.
    {ANALYTICS: Terms(330), RESEARCH: Terms(300, LAB), MEDIA: Terms(0, MAPS)},
    # A new purpose and a new recipient ask again; a shorter retention does not.
    {
        ANALYTICS: Terms(310),
        RESEARCH: Terms(300, LAB),
        MEDIA: Terms(0, MAPS | FILMS),
        ADS: Terms(0, AGENCY),
    },
    # A recipient less and new texts do not ask again.
    {
        ANALYTICS: Terms(310),
        RESEARCH: Terms(300, LAB),
        MEDIA: Terms(0, FILMS),
        ADS: Terms(0, AGENCY),
    },
)
REFUSED_IN: Mapping[str, frozenset[str]] = {
    "": frozenset(),
    "whois": frozenset((ANALYTICS,)),
    "archive": TRACING,
    "shop": frozenset((RESEARCH, MEDIA)),
}
"""Service -> the purposes that it refuses, whatever the visitor answered."""
SHOP_HOST = "shop.example"


@dataclass(frozen=True)
class Answer:
    """An answer of a visitor.

    Args:
        given: purpose -> True, False, or None where it was left open.
        version: the version of the policy.
        at: the time (seconds since 1970).
        signals: the signals at that time; the answer overrides them.
    """

    given: Mapping[str, bool | None]
    version: int
    at: int
    signals: frozenset[str]

    @property
    def status(self) -> str:
        said = set(self.given.values())
        return {True: "granted", False: "refused", None: "unknown"}[said.pop()] if len(said) == 1 else "partial"

    @property
    def granted(self) -> set[str]:
        return {purpose for purpose, yes in self.given.items() if yes}

    def refuses_tracing(self) -> bool:
        return all(self.given[purpose] is False for purpose in TRACING)


@dataclass(frozen=True)
class Case:
    """The facts that decide on a request.

    Args:
        version: the version of the worker's policy; the worker also knows the earlier versions, but no later one.
        service: the service whose conditions apply; "" for the site.
        answer: the answer that counts, if any.
        signals: the signals of the browser: "gpc", "dnt".
    """

    version: int
    service: str
    answer: Answer | None
    signals: frozenset[str]

    @property
    def purposes(self) -> Mapping[str, Terms]:
        return VERSIONS[self.version]

    def allowed(self) -> set[str]:
        """Return the purposes that hold: granted, and not switched off by service, signal or new policy."""
        return {id_ for id_ in self.purposes if not self._is_off(id_) and self._is_valid(id_)}

    def traces(self) -> bool:
        return not TRACING.isdisjoint(self.allowed())

    def asks(self) -> bool:
        """Return whether a purpose is unanswered, or was granted before it was widened."""
        return any(
            not self._is_off(id_) and (self._said(id_) is None or (self._said(id_) and self._is_widened(id_)))
            for id_ in self.purposes
        )

    def signal_refuses(self) -> bool:
        """Return whether a signal refuses a purpose, and not the visitor, who refused everything."""
        refused_all = self.answer is not None and self.answer.status == "refused"
        return any(
            id_ in self._refused_by_signal(id_) and not (refused_all and self._refuses(id_)) for id_ in self.purposes
        )

    def after(self, choice: str, ticked: Collection[str], shown: str, at: int) -> Answer:
        """Return the new answer after a choice.

        Args:
            choice: "accept_all", "refuse_all", "save" or "grant".
            ticked: the granted purposes, for "save" and "grant".
            shown: the service on whose page the choice is made. Purposes that it refuses keep their earlier answer.
            at: the time (seconds since 1970).
        """
        holds, off = self.allowed(), REFUSED_IN[shown]
        given: dict[str, bool | None] = {}
        for id_ in self.purposes:
            is_asked = id_ in ticked if choice == "grant" else id_ not in off
            by_signal = choice in ("accept_all", "grant") and id_ in self._refused_by_signal(id_)
            if id_ in off or not is_asked or by_signal:
                given[id_] = False if self._refuses(id_) else True if id_ in holds else None
            else:
                given[id_] = choice == "accept_all" or (choice != "refuse_all" and id_ in ticked)
        return Answer(given, self.version, at, self.signals)

    def _is_valid(self, purpose: str) -> bool:
        return bool(self._said(purpose)) and not self._is_widened(purpose)

    def _refuses(self, purpose: str) -> bool:
        return self._said(purpose) is False

    def _said(self, purpose: str) -> bool | None:
        return self.answer.given.get(purpose) if self.answer else None

    def _is_off(self, purpose: str) -> bool:
        return purpose in REFUSED_IN[self.service] or purpose in self._refused_by_signal(purpose)

    def _refused_by_signal(self, purpose: str) -> set[str]:
        """Return the purposes that signals refuse, but for those in whose sight a purpose was granted."""
        signals = self.signals
        if self.answer and self._said(purpose) and not self._is_widened(purpose):
            signals -= self.answer.signals
        refused = {*TRACING} if "dnt" in signals else set()
        return refused | {id_ for id_, terms in self.purposes.items() if "gpc" in signals and terms.recipients}

    def _is_widened(self, purpose: str) -> bool:
        """Return whether a purpose was, or may have been, widened since the answer."""
        assert self.answer, "the purpose was answered"
        then, now = VERSIONS[self.answer.version][purpose], self.purposes[purpose]
        if self.answer.version > self.version:
            return then != now
        return now.days > then.days or not now.recipients <= then.recipients


def outcomes(before: Case, answer: Answer) -> list[str]:
    """Return the names of the counts for an answer."""
    if before.answer and before.answer.granted and not answer.granted:
        return ["withdrawn"]
    return [answer.status] if before.answer is None or before.asks() else [answer.status, "changed"]


@dataclass(frozen=True)
class SimulatedRequest:
    """A request of the simulation, with the facts that decide on it."""

    number: int
    kind: str
    path: str
    method: str
    fields: dict[str, str]
    case: Case

    @property
    def is_robot(self) -> bool:
        return self.fields["user-agent"] == ROBOT

    @property
    def is_prefetch(self) -> bool:
        """Whether the browser only prefetches it."""
        return "prefetch" in self.fields.get("sec-purpose", "") + self.fields.get("purpose", "")

    @property
    def is_traced(self) -> bool:
        """Whether it is recorded."""
        return not self.is_robot and not self.is_prefetch and self.case.traces()

    @property
    def is_view(self) -> bool:
        """Whether it counts as a view: a page that a person sees, and no error."""
        return self.kind != "missing" and self.is_page

    @property
    def is_page(self) -> bool:
        """Whether a person sees it as a page. "Not modified" is a page only if the browser says that it loads one.

        A visitor who has answered is a person, because robots cannot answer.
        """
        is_seen = self.fields.get("sec-fetch-dest", "document") == "document" and not self.is_prefetch
        by_person = not self.is_robot or self.case.answer is not None
        is_page = self.kind in ("page", "map", "missing") or (self.kind == "same" and "sec-fetch-dest" in self.fields)
        return self.method == "GET" and is_page and is_seen and by_person
