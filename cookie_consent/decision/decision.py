"""Which purposes are allowed on a request, and why: the legal rules, as pure functions that know nothing of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from cookie_consent.base.clock import day_of
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.policy.diff import digests, widened
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.parts import DIRECTIVES, NECESSARY
from cookie_consent.policy.policy import Policy

ANNOUNCEMENT_LIFETIME = timedelta(days=30)
"""How long pages announce a policy change for which nobody is asked again."""
_NO_ANSWER = ConsentRecord(answers={}, policy="", decided_at=0, source="", language="")


class Reason(StrEnum):
    """Why a purpose is allowed, or off. If it is off, the value names the text that tells the visitor."""

    GRANTED = "granted"
    UNREFUSED = "unrefused"
    """The law is one of opting out."""
    REFUSED = "why_refused"
    REFUSED_HERE = "refused_here"
    """By the service."""
    GPC = "why_gpc"
    DNT = "why_dnt"
    SIGNAL = "why_signal"
    """A signal that is gone has overridden the answer."""
    CHANGED = "why_changed"
    """The purpose is wider than what was granted."""
    UNANSWERED = "why_unanswered"


ALLOWED = frozenset({Reason.GRANTED, Reason.UNREFUSED})
ASKED = frozenset({Reason.CHANGED, Reason.UNANSWERED})
BY_SIGNAL = frozenset({Reason.GPC, Reason.DNT, Reason.SIGNAL})


@dataclass(frozen=True, slots=True)
class FeatureState:
    """Whether a feature is available on this request.

    Args:
        available: whether all purposes that the feature needs are allowed.
        fallback: the text to show instead, in the visitor's language.
        missing: ids of the needed purposes that are not allowed.
    """

    available: bool
    fallback: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The purposes allowed on a request, and what the visitor answered.

    Args:
        policy: the policy that applies here, with the service's conditions.
        purposes: purpose id -> whether it is allowed now, "necessary" included.
        status: what the visitor answered: "unknown", "granted", "refused" or "partial".
        asked: ids of the purposes to ask for: nobody has answered for them, or they are wider than what was accepted.
        signals: names of the browser's signals, sorted.
        record: the valid consent record, or None.
        language: the language of the features' fallback texts.
        news: the date of a policy change to announce without asking again, or None.
        honours_gpc: whether Global Privacy Control turns something off, now or at some time since the answer. Pages
            then say so (11 CCR 7025(c)(6)).
        outcome: what holds on the whole, for the purposes that may be allowed here. "granted", "refused" or "partial":
            the visitor allowed all, none or some of what holds. "opted_out": the visitor refused some, and answered for
            no other. "unknown", "unknown_opt_out": there is no answer, and what nobody refuses is off, or runs.
            "necessary": all is off, and not by the visitor alone. "": all is off until the visitor is asked again.
        reasons: optional purpose id -> why it is allowed ("granted", "unrefused"), or off (the name of the text that
            says so, as "why_gpc").
        refused_by_signal: ids of the purposes that a signal refuses, or has since the visitor granted them. Only
            "save" grants them.
    """

    policy: Policy
    purposes: Mapping[str, bool]
    status: str
    asked: tuple[str, ...]
    signals: tuple[str, ...]
    record: ConsentRecord | None
    language: str
    news: date | None
    honours_gpc: bool
    outcome: str
    reasons: Mapping[str, Reason]
    refused_by_signal: frozenset[str]

    @property
    def should_ask(self) -> bool:
        """Whether neither the visitor nor a signal has answered for some purpose."""
        return bool(self.asked)

    @property
    def overruled(self) -> frozenset[str]:
        """Ids of the purposes that the visitor granted and that a signal has refused since."""
        return self.refused_by_signal.intersection(self.record.granted if self.record else ())

    @property
    def opted_out(self) -> bool:
        """Whether the visitor or a signal has refused every sale or sharing; false if the policy has none."""
        refused = self.refused_by_signal.union(self.record.refused if self.record else ())
        return bool(self.policy.sells) and refused.issuperset(self.policy.sells)

    @property
    def traces(self) -> bool:
        """Whether the visitor's consent allows access tracing."""
        return any(map(self.purposes.get, self.policy.traced))

    @property
    def consent_id(self) -> str:
        """The id that all of the visitor's consent records share, or ""."""
        return self.record.consent_id if self.record else ""

    def allows(self, purpose: str) -> bool:
        """Return whether a purpose is allowed now.

        Raises:
            LookupError: the policy has no such purpose. The message lists the known ones.
        """
        try:
            return self.purposes[purpose]
        except KeyError:
            raise self.policy.no_purpose(purpose) from None

    def sources(self, directive: str) -> tuple[str, ...]:
        """Return the origins of allowed recipients for a directive of the app's own Content-Security-Policy.

        Args:
            directive: the name of the directive, such as "frame-src".

        Raises:
            LookupError: no recipient can have this directive. The message lists those that one can have.
        """
        known = {name if name == "form-action" else f"{name}-src": name for name in DIRECTIVES}
        if directive not in known:
            raise LookupError(f'recipients have no directive "{directive}". {did_you_mean(str(directive), known)}')
        allowed = (it for it in self.policy.recipients if self.purposes[it.purpose])
        return tuple(
            dict.fromkeys(origin for it in allowed if known[directive] in it.directives for origin in it.origins)
        )

    def feature(self, feature: str, *, language: str | None = None) -> FeatureState:
        """Return whether a feature is available, and its fallback.

        Args:
            feature: the feature's id.
            language: an offered language; by default the visitor's.

        Raises:
            LookupError: the policy has no such feature, or does not offer the language.
        """
        declared = self.policy.feature(feature)
        fallback = declared.fallback.get(language or self.language)
        if fallback is None:
            raise LookupError(f'"{language}" is not offered. {did_you_mean(str(language), declared.fallback)}')
        missing = tuple(purpose for purpose in declared.purposes if not self.allows(purpose))
        return FeatureState(available=not missing, fallback=fallback, missing=missing)


def decide(policy: Policy, record: ConsentRecord | None, signals: frozenset[str], now: float) -> Decision:
    """Decide which purposes are allowed.

    The rules, the strongest first:

    1. The necessary purpose is allowed.
    2. A purpose that the service refuses is not.
    3. An explicit answer overrides the signals that were present when it was given.
    4. A signal refuses its purposes. One that has overridden an answer still does when it is gone (11 CCR 7025).
    5. The last explicit answer holds for each purpose that has not changed materially since.
    6. Where the law is one of opting out, what nobody has refused is allowed, and nothing is asked.
    7. Anything else is not allowed.

    A refused purpose stays refused and is not asked for again.

    Args:
        policy: the policy that applies to the request, with the service's conditions and the law of the place.
        record: the visitor's newest record, if any. An expired or future one is ignored.
        signals: names of the browser's signals.
        now: seconds since 1970.
    """
    if record is None or not record.decided_at <= now < record.expires_at:
        return _decide_unanswered(policy, signals)
    if record.policy == policy.version:
        return _decide(policy, record, signals, frozenset(), None)
    return _decide(policy, record, signals, _find_changed(policy, record), _find_news(policy, record, now))


@lru_cache(maxsize=256)
def _decide_unanswered(policy: Policy, signals: frozenset[str]) -> Decision:
    """Decide for all visitors who have not answered."""
    return replace(_decide(policy, _NO_ANSWER, signals, frozenset(), None), record=None)


def _decide(
    policy: Policy, record: ConsentRecord, signals: frozenset[str], changed: frozenset[str], news: date | None
) -> Decision:
    status = record.status
    overriding = (signals | record.overridden_by) - record.signals
    reasons = {}
    refused_by_signal = set()
    for purpose in policy.optional:
        answer = record.answers.get(purpose)
        state = State.UNANSWERED if answer is None else answer.state
        is_changed = purpose in changed
        reason = _find_reason(policy, purpose, state, is_changed=is_changed)
        heeded = signals
        if state is State.GRANTED:
            # The grant of a changed purpose is no more, and neither is what it overrode.
            heeded = overriding | signals if is_changed else overriding
        refusing = _find_signal(policy, purpose, heeded, signals) if heeded else None
        if refusing is not None:
            refused_by_signal.add(purpose)
            # The visitor is the reason only after refusing everything: a refused sale may be the signal's, see
            # `make_record`.
            if state is not State.REFUSED or status != "refused":
                reason = refusing
        reasons[purpose] = reason
    allowed = {purpose: purpose == NECESSARY or reasons[purpose] in ALLOWED for purpose in policy.in_force}
    asked = tuple(purpose for purpose, reason in reasons.items() if reason in ASKED)
    is_gpc_sent = "gpc" in signals or "gpc" in record.overridden_by
    return Decision(
        policy=policy,
        purposes=MappingProxyType(allowed),  # requests share decisions, so no app may change one
        status=status,
        asked=asked,
        signals=tuple(sorted(signals)),
        record=record,
        language=policy.site.prevailing_language,
        news=None if asked else news,
        honours_gpc=is_gpc_sent and not all(allowed[purpose] for purpose in policy.gpc_refuses),
        outcome=_find_outcome(policy, record, reasons),
        reasons=MappingProxyType(reasons),
        refused_by_signal=frozenset(refused_by_signal),
    )


def _find_signal(policy: Policy, purpose: str, heeded: frozenset[str], sent: frozenset[str]) -> Reason | None:
    """Return the signal that refuses a purpose, rather one that is sent; None if none of those heeded does.

    Signals may refuse what an answer has refused, too.
    """
    found = None
    for name, purposes in (("gpc", policy.gpc_refuses), ("dnt", policy.dnt_refuses)):
        if name in heeded and purpose in purposes:
            if name in sent:
                return Reason[name.upper()]
            found = Reason.SIGNAL
    return found


def _find_reason(policy: Policy, purpose: str, state: State, *, is_changed: bool) -> Reason:
    """Return why a purpose is allowed or off, by all rules but those on signals."""
    if policy.in_force[purpose].refused:
        return Reason.REFUSED_HERE
    if state is State.REFUSED:
        return Reason.REFUSED
    if state is State.GRANTED and not is_changed:
        return Reason.GRANTED
    if policy.is_opt_out:
        return Reason.UNREFUSED
    return Reason.CHANGED if state is State.GRANTED else Reason.UNANSWERED


def _find_changed(policy: Policy, record: ConsentRecord) -> frozenset[str]:
    """Return the purposes that an answer no longer covers, because their material facts changed since.

    Without the earlier policy at hand, the digests in the record only tell that the facts differ.
    """
    for earlier in policy.history:
        if earlier.version == record.policy:
            return widened(earlier, policy)
    facts = digests(policy)
    return frozenset(id_ for id_, answer in record.answers.items() if answer.facts != facts.get(id_, answer.facts))


def _find_outcome(policy: Policy, record: ConsentRecord, reasons: Mapping[str, Reason]) -> str:
    """Return the outcome for the purposes that may be allowed here; see `Decision`."""
    here = {reasons[purpose] for purpose in policy.asked}
    if here == {Reason.GRANTED}:
        return "granted"
    if here == {Reason.REFUSED}:
        return "refused"
    has_granted = bool(record.granted)
    if Reason.GRANTED in here or (has_granted and Reason.UNREFUSED in here):
        return "partial"
    if here and here.isdisjoint(ASKED | {Reason.UNREFUSED}):
        return "necessary"
    if has_granted or not here:
        return ""
    if record.refused:
        return "opted_out"
    return "unknown_opt_out" if Reason.UNREFUSED in here else "unknown"


def _find_news(policy: Policy, record: ConsentRecord, now: float) -> date | None:
    """Return the date of the newest policy change since the answer, if it is within `ANNOUNCEMENT_LIFETIME`."""
    today = day_of(now)
    answered = day_of(record.decided_at)
    newest = max((change.date for change in policy.changes if answered < change.date <= today), default=None)
    return newest if newest is not None and today - newest < ANNOUNCEMENT_LIFETIME else None


def deny_optional(decision: Decision) -> Decision:
    """Return the decision with every purpose off but the necessary one, for use after an error."""
    off = {purpose: purpose == NECESSARY for purpose in decision.purposes}
    allowed = [id_ for id_ in decision.reasons if decision.purposes[id_]]
    reasons = {**decision.reasons, **dict.fromkeys(allowed, Reason.UNANSWERED)}
    return replace(
        decision,
        purposes=MappingProxyType(off),
        outcome=_find_outcome(decision.policy, decision.record or _NO_ANSWER, reasons),
        reasons=MappingProxyType(reasons),
    )


def refused_in_storage(decision: Decision, *, has_ended: bool = False) -> tuple[str, ...]:
    """Return the purposes for which the browser's storage is cleared: those that were refused, not by a signal.

    Args:
        decision: the decision.
        has_ended: whether a consent has ended, so that all counts that it allowed.
    """
    stored = decision.policy.stored
    if has_ended:
        return tuple(id_ for id_ in stored if not decision.purposes[id_])
    refused = decision.record.refused if decision.record else ()
    return tuple(id_ for id_ in stored if id_ in refused)


def depends_on_signals(decision: Decision) -> bool:
    """Return whether some signal, present or not, could refuse a granted purpose."""
    granted = decision.record.granted if decision.record else []
    return not (decision.policy.gpc_refuses | decision.policy.dnt_refuses).isdisjoint(granted)
