"""Which requests may be recorded, and what is counted: written from the rules of the design, and from none of the code.

The site of the oracle has four versions of its policy, one after the other, and three services with conditions of
their own. A visitor's answer is what was said for each purpose, to which version, when, and under which signals.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.support.asgi import ROBOT

ANALYTICS, RESEARCH, MEDIA, ADS, AUDIENCE = "analytics", "research", "media", "ads", "audience"
TRACING = frozenset((ANALYTICS, RESEARCH))
"""The purposes of which either one switches access tracing."""
DAY = 86_400
LIFETIME = 60 * DAY
"""How long an answer holds (seconds)."""


@dataclass(frozen=True)
class Terms:
    """What a version of the policy says of a purpose, as far as it is material.

    Args:
        days: how long it keeps what it collects.
        recipients: who gets data.
        exempt: whether it runs without consent, until the visitor objects.
    """

    days: int = 0
    recipients: frozenset[str] = frozenset()
    exempt: bool = False


LAB, MAPS, FILMS, AGENCY = (frozenset((id_,)) for id_ in ("lab", "maps", "films", "agency"))
COUNTING = Terms(300, exempt=True)
VERSIONS: tuple[Mapping[str, Terms], ...] = (
    {ANALYTICS: Terms(300), RESEARCH: Terms(300, LAB), MEDIA: Terms(0, MAPS)},
    # Records are kept for longer: asked again.
    {ANALYTICS: Terms(330), RESEARCH: Terms(300, LAB), MEDIA: Terms(0, MAPS)},
    # A purpose and a recipient more, asked again; records are kept for less long: not asked again. And without asking
    # the audience is counted.
    {
        ANALYTICS: Terms(310),
        RESEARCH: Terms(300, LAB),
        MEDIA: Terms(0, MAPS | FILMS),
        ADS: Terms(0, AGENCY),
        AUDIENCE: COUNTING,
    },
    # A recipient less, and other words: not asked again.
    {
        ANALYTICS: Terms(310),
        RESEARCH: Terms(300, LAB),
        MEDIA: Terms(0, FILMS),
        ADS: Terms(0, AGENCY),
        AUDIENCE: COUNTING,
    },
)
REFUSED_IN: Mapping[str, frozenset[str]] = {
    "": frozenset(),
    "whois": frozenset((ANALYTICS,)),
    "archive": TRACING | {AUDIENCE},
    "shop": frozenset((RESEARCH, MEDIA)),
}
"""What the services refuse, whatever the visitor answered."""
SHOP_HOST = "shop.example"


@dataclass(frozen=True)
class Answer:
    """What a visitor said.

    Args:
        given: purpose -> yes, no, or None where it was left open; without the exempt one where nothing was said of it.
        version: which version of the policy was answered.
        at: when (seconds since 1970).
        signals: those that were there then; the answer was given in spite of them.
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

    def objects(self) -> bool:
        """Return whether the visitor objects to what runs without consent; who refused all, or tracing, does too."""
        if AUDIENCE in self.given:
            return self.given[AUDIENCE] is False
        return self.status == "refused" or any(self.given[purpose] is False for purpose in TRACING)

    def refuses_tracing(self) -> bool:
        return all(self.given[purpose] is False for purpose in TRACING)


@dataclass(frozen=True)
class Case:
    """What decides on a request.

    Args:
        version: the version of the policy that the worker knows; it knows the earlier ones, and none that is later.
        service: whose conditions apply; "" for the site's own.
        answer: the answer that counts, if there is one.
        signals: what the browser says by itself: "gpc", "dnt".
        unreadable: whether an answer came that cannot be read, and none that can: it may be an objection.
    """

    version: int
    service: str
    answer: Answer | None
    signals: frozenset[str]
    unreadable: bool = False

    @property
    def purposes(self) -> Mapping[str, Terms]:
        return VERSIONS[self.version]

    def allowed(self) -> set[str]:
        """Return the purposes that were granted, or need not be, and that nothing takes back here and now."""
        return {id_ for id_ in self.purposes if not self._is_off(id_) and self._holds(id_)}

    def traces(self) -> bool:
        return not TRACING.isdisjoint(self.allowed())

    def counts_without_consent(self) -> bool:
        return not self.traces() and AUDIENCE in self.allowed()

    def asks(self) -> bool:
        """Return whether there is a purpose that nobody has answered for, or only for something less."""
        return any(
            not self._is_off(id_) and (self._said(id_) is None or (self._said(id_) and self._is_other(id_)))
            for id_ in self.purposes
            if id_ != AUDIENCE
        )

    def signal_refuses(self) -> bool:
        """Return whether a signal refuses what the visitor has not."""
        return any(not self._refuses(id_) and id_ in self._by_signal(id_) for id_ in self.purposes)

    def after(self, choice: str, ticked: Collection[str], shown: str, at: int) -> Answer:
        """Return the answer that a visitor gives.

        Args:
            choice: "accept_all", "refuse_all", "save" or "grant".
            ticked: the purposes that are granted, for the last two.
            shown: the service on whose page it is given. What it refuses is not asked for there, and stays as it was.
            at: when.
        """
        holds, off = self.allowed(), REFUSED_IN[shown]
        given: dict[str, bool | None] = {}
        for id_ in self.purposes:
            if id_ in off or (choice == "grant" and id_ not in ticked):
                given[id_] = False if self._refuses(id_) else self._kept(id_, holds)
            else:
                given[id_] = choice == "accept_all" or (choice != "refuse_all" and id_ in ticked)
        if given.get(AUDIENCE, True) is None:
            del given[AUDIENCE]
        return Answer(given, self.version, at, self.signals)

    def _kept(self, purpose: str, holds: Collection[str]) -> bool | None:
        return self._said(purpose) if purpose == AUDIENCE else True if purpose in holds else None

    def _holds(self, purpose: str) -> bool:
        if purpose == AUDIENCE:
            return not self.unreadable and not self._refuses(purpose)
        return bool(self._said(purpose)) and not self._is_other(purpose)

    def _refuses(self, purpose: str) -> bool:
        if purpose == AUDIENCE:
            return self.answer is not None and self.answer.objects()
        return self._said(purpose) is False

    def _said(self, purpose: str) -> bool | None:
        return self.answer.given.get(purpose) if self.answer else None

    def _is_off(self, purpose: str) -> bool:
        return purpose in REFUSED_IN[self.service] or purpose in self._by_signal(purpose)

    def _by_signal(self, purpose: str) -> set[str]:
        """Return what the signals refuse; those that a purpose was answered for in spite of do not count."""
        signals = self.signals
        if self.answer and self._said(purpose) is not None:
            signals -= self.answer.signals
        refused = {*TRACING, AUDIENCE} if "dnt" in signals else set()
        return refused | {
            id_ for id_, terms in self.purposes.items() if "gpc" in signals and (terms.recipients or terms.exempt)
        }

    def _is_other(self, purpose: str) -> bool:
        """Return whether a purpose is, or may be, more than what was answered."""
        assert self.answer, "one that was given"
        then, now = VERSIONS[self.answer.version][purpose], self.purposes[purpose]
        if self.answer.version > self.version:
            return then != now
        return now.days > then.days or not now.recipients <= then.recipients


def outcome(before: Case, answer: Answer) -> str:
    """Return what an answer is counted as."""
    if before.answer and before.answer.granted and not answer.granted:
        return "withdrawn"
    return answer.status if before.answer is None or before.asks() else "changed"


@dataclass(frozen=True)
class Coming:
    """A request, and what is known of it beforehand."""

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
    def is_early(self) -> bool:
        """Whether the browser only loads it in advance."""
        return "prefetch" in self.fields.get("sec-purpose", "") + self.fields.get("purpose", "")

    @property
    def is_recorded(self) -> bool:
        return self.is_traced or (self._may_be and self.case.counts_without_consent())

    @property
    def is_traced(self) -> bool:
        """Whether it is recorded by consent."""
        return self._may_be and self.case.traces()

    @property
    def _may_be(self) -> bool:
        return not self.is_robot and not self.is_early

    @property
    def is_view(self) -> bool:
        """Whether it is a page that a person sees, and no error."""
        return self.kind != "missing" and self.is_page

    @property
    def is_page(self) -> bool:
        """Whether a person sees it as a page; "not modified" is one where the browser says that it loads one.

        Who has answered is a person: robots cannot.
        """
        is_seen = self.fields.get("sec-fetch-dest", "document") == "document" and not self.is_early
        by_person = not self.is_robot or self.case.answer is not None
        is_page = self.kind in ("page", "map", "missing") or (self.kind == "same" and "sec-fetch-dest" in self.fields)
        return self.method == "GET" and is_page and is_seen and by_person
