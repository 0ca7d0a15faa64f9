"""Which purposes are allowed on a request: the legal rules, as pure functions that know nothing of HTTP."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from cookie_consent.base.clock import DAY
from cookie_consent.base.frozen import quick_maker
from cookie_consent.decision.record import Answer, ConsentRecord, SharedAnswers, State
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.material import digests, widened
from cookie_consent.policy.parts import DIRECTIVES, NECESSARY
from cookie_consent.policy.policy import Policy

ANNOUNCEMENT_LIFETIME = timedelta(days=30)
"""How long pages announce a policy change for which nobody is asked again."""
CONSENT_LIFETIME = timedelta(days=184)
"""Never less than six months, for refusals and grants alike (CNIL 2020-092, section 39; Garante 231/2021, 6.2)."""

OPT_OUT_LIFETIME = timedelta(days=366)
"""12 months without asking again after an opt-out of sale or sharing (Cal. Civ. Code 1798.135(c)(4))."""

OUTCOMES = ("", "granted", "refused", "partial")
"""What may hold on the whole; see `Decision`."""

_UNANSWERED = Answer(State.UNANSWERED, "")


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
        should_ask: whether neither the visitor nor a signal has answered for some purpose.
        signals: names of the browser's signals, sorted.
        record: the valid consent record, or None.
        language: the language of the features' fallback texts.
        news: the date of a policy change to announce without asking again, or None.
        honours_gpc: whether Global Privacy Control turns something off, now or at some time since the answer. Pages
            then say so (11 CCR 7025(c)(6)).
        outcome: what holds on the whole: "granted", "refused" or "partial"; "" before the visitor or a signal answered,
            and while something runs without an answer because the law is one of opting out. Other than `status`, it
            follows signals, services and policy changes.
    """

    policy: Policy
    purposes: Mapping[str, bool]
    status: str
    should_ask: bool
    signals: tuple[str, ...]
    record: ConsentRecord | None
    language: str
    news: date | None = None
    honours_gpc: bool = False
    outcome: str = ""

    @property
    def traces(self) -> bool:
        """Whether the visitor's consent allows access tracing."""
        return any(self.purposes[purpose] for purpose in self.policy.traced)

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


_new_decision = quick_maker(Decision)


def decide(
    policy: Policy,
    record: ConsentRecord | None,
    signals: frozenset[str],
    now: float,
    *,
    lifetime: timedelta = CONSENT_LIFETIME,
) -> Decision:
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
        lifetime: how long an answer is valid.
    """
    if record is not None and not record.decided_at <= now < record.decided_at + lifetime.total_seconds():
        record = None
    refused_by_signals = purposes_refused_by(policy, signals)
    # An answer overrides the signals that were present when it was given.
    since = (signals | record.overridden_by) - record.signals if record else signals
    refused_by_new_signals = purposes_refused_by(policy, since)
    changed = _changed_since(policy, record)
    allowed, is_open = dict.fromkeys(policy.in_force, True), False
    for purpose in policy.optional:
        answer = record.answers.get(purpose, _UNANSWERED) if record else _UNANSWERED
        unanswered, granted = answer.state is State.UNANSWERED, answer.state is State.GRANTED
        by_signal = purpose in (refused_by_signals if unanswered else refused_by_new_signals)
        ruled_out = policy.in_force[purpose].refused or by_signal
        is_unclear = unanswered or (granted and purpose in changed)
        allowed[purpose] = not ruled_out and (policy.is_opt_out if is_unclear else granted)
        is_open |= is_unclear and not ruled_out and not policy.is_opt_out
    return Decision(
        policy=policy,
        purposes=MappingProxyType(allowed),  # requests share decisions, so no app may change one
        status=record.status if record else "unknown",
        should_ask=is_open,
        signals=tuple(sorted(signals)),
        record=record,
        language=policy.site.prevailing_language,
        news=None if is_open else _news(policy, record, now),
        honours_gpc=_honours_gpc(policy, signals.union(record.overridden_by if record else ()), allowed),
        outcome=_outcome(policy, record, allowed, is_open=is_open),
    )


def decision_key(policy: Policy, record: ConsentRecord | None, signals: frozenset[str], now: float) -> Hashable:
    """Return everything that `decide` looks at, as a cache key, or None if the answers are too long to be shared.

    Decisions with equal keys differ only in their record.

    Args:
        policy: the policy that applies to the request, with the service's conditions.
        record: the visitor's newest record, valid now, if any.
        signals: names of the browser's signals.
        now: seconds since 1970.
    """
    if record is None:
        return policy, signals
    if not isinstance(record.answers, SharedAnswers):
        return None
    is_earlier = policy.changes and record.policy != policy.version
    days = (now // DAY, record.decided_at // DAY) if is_earlier else None  # `_news` compares dates
    return policy, signals, record.answers, record.policy, record.signals, record.overridden_by, days


def with_record(decision: Decision, record: ConsentRecord | None) -> Decision:
    """Return the decision for another record with the same `decision_key`."""
    return _new_decision(
        decision.policy,
        decision.purposes,
        decision.status,
        decision.should_ask,
        decision.signals,
        record,
        decision.language,
        decision.news,
        decision.honours_gpc,
        decision.outcome,
    )


def without_optional(decision: Decision) -> Decision:
    """Return the decision with every purpose off but the necessary one, for use after an error."""
    off = {purpose: purpose == NECESSARY for purpose in decision.purposes}
    return replace(decision, purposes=MappingProxyType(off), outcome="")


def purposes_refused_by(policy: Policy, signals: Collection[str]) -> frozenset[str]:
    """Return the ids of the purposes that signals refuse.

    Args:
        policy: the policy that applies.
        signals: "gpc", "dnt" or both; other names refuse nothing.
    """
    refused: frozenset[str] = frozenset()
    if not signals:
        return refused
    if "gpc" in signals:
        refused |= policy.gpc_refuses
    if "dnt" in signals:
        refused |= policy.dnt_refuses
    return refused


def purposes_switched_off(decision: Decision) -> frozenset[str]:
    """Return the ids of the granted purposes that a signal has refused since the answer."""
    record = decision.record
    if record is None or not (decision.signals or record.overridden_by):
        return frozenset()
    since = record.overridden_by.union(decision.signals) - record.signals
    return purposes_refused_by(decision.policy, since).intersection(record.in_state(State.GRANTED))


def overriding_signals(decision: Decision) -> frozenset[str]:
    """Return the names of the signals that override the answer, including those that did on earlier requests."""
    record = decision.record
    if record is None:
        return frozenset()
    granted = record.in_state(State.GRANTED)
    now = frozenset(decision.signals) - record.signals - record.overridden_by
    return record.overridden_by.union(
        name for name in now if not purposes_refused_by(decision.policy, {name}).isdisjoint(granted)
    )


def has_opted_out(decision: Decision) -> bool:
    """Return whether the visitor has refused every purpose that sells or shares personal information."""
    sells, record = decision.policy.sells, decision.record
    return bool(sells) and record is not None and set(sells).issubset(record.in_state(State.REFUSED))


def depends_on_signals(decision: Decision) -> bool:
    """Return whether some signal, present or not, could refuse a granted purpose."""
    granted = decision.record.in_state(State.GRANTED) if decision.record else []
    return not (decision.policy.gpc_refuses | decision.policy.dnt_refuses).isdisjoint(granted)


def signal_refuses_more(decision: Decision) -> bool:
    """Return whether a signal refuses a purpose that the visitor has not refused.

    Args:
        decision: the decision on a request with at least one signal.
    """
    policy, record = decision.policy, decision.record
    answered = [*record.in_state(State.GRANTED), *record.in_state(State.REFUSED)] if record else []
    unanswered = purposes_refused_by(policy, decision.signals).difference(answered)
    return bool(unanswered) or bool(purposes_switched_off(decision))


def _honours_gpc(policy: Policy, signals: frozenset[str], allowed: Mapping[str, bool]) -> bool:
    return "gpc" in signals and not all(allowed[purpose] for purpose in policy.gpc_refuses)


def _outcome(policy: Policy, record: ConsentRecord | None, allowed: Mapping[str, bool], *, is_open: bool) -> str:
    """Return what holds for all purposes that may be allowed here; a signal that refuses them counts as an answer."""
    granted = [purpose for purpose in policy.asked if allowed[purpose]]
    if runs_unanswered(policy, record, granted):
        return ""
    if granted:
        return "granted" if len(granted) == len(policy.asked) else "partial"
    return "refused" if policy.asked and not is_open else ""


def runs_unanswered(policy: Policy, record: ConsentRecord | None, allowed: Collection[str]) -> bool:
    """Return whether one of the allowed purposes is allowed only because nobody has refused it.

    Args:
        policy: the policy that applies.
        record: the visitor's valid answer, if any.
        allowed: ids of purposes that are allowed.
    """
    granted = record.in_state(State.GRANTED) if record else ()
    return policy.is_opt_out and not set(granted).issuperset(allowed)


def _news(policy: Policy, record: ConsentRecord | None, now: float) -> date | None:
    """Return the date of the newest policy change since the answer, if it is within `ANNOUNCEMENT_LIFETIME`."""
    if record is None or record.policy == policy.version or not policy.changes:
        return None
    today, answered = (datetime.fromtimestamp(time, UTC).date() for time in (now, record.decided_at))
    newest = max((change.date for change in policy.changes if change.date <= today), default=answered)
    return newest if newest > answered and today - newest < ANNOUNCEMENT_LIFETIME else None


def _changed_since(policy: Policy, record: ConsentRecord | None) -> frozenset[str]:
    """Return the purposes that an answer no longer covers, because their material facts changed since.

    Without the earlier policy at hand, the digests in the record only tell that the facts differ.
    """
    if record is None or record.policy == policy.version:
        return frozenset()
    for earlier in policy.history:
        if earlier.version == record.policy:
            return widened(earlier, policy)
    now = digests(policy)
    return frozenset(id_ for id_, answer in record.answers.items() if id_ in now and answer.facts != now[id_])
