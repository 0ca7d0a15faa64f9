"""What holds on one request. All of the law that can be tested is in here, and none of it looks at a request."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from cookie_consent.base.clock import DAY
from cookie_consent.decision.record import Answer, ConsentRecord, SharedAnswers, State
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.material import digests, widened
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy

NEWS_LIFETIME = timedelta(days=30)
"""How long pages tell of a change of the policy that asks nobody again."""
CONSENT_LIFETIME = timedelta(days=180)
"""Six months, refusal and grant alike (CNIL 2020-092, section 39; Garante 231/2021, section 6.2)."""

OPTED_OUT_FOR = timedelta(days=366)
"""12 months: as long, who refused a sale or sharing is not asked again (Cal. Civ. Code 1798.135(c)(4))."""


_UNANSWERED = Answer(State.UNANSWERED, "")


@dataclass(frozen=True, slots=True)
class FeatureState:
    """Whether a feature is available now.

    Args:
        available: whether all the purposes that it needs are allowed.
        fallback: what the visitor reads in its place, in the visitor's language.
        missing: the ids of the purposes that are not allowed.
    """

    available: bool
    fallback: str
    missing: tuple[str, ...]


@dataclass(slots=True)
class Decision:
    """The purposes allowed on a request, and what was answered.

    Args:
        policy: the policy as it holds here, the service's own conditions applied.
        purposes: purpose id -> whether it is allowed now, "necessary" included.
        status: what the visitor answered: "unknown", "granted", "refused" or "partial".
        should_ask: whether a purpose is left that neither the visitor nor a signal has answered for.
        signals: the names of the browser's signals, sorted.
        record: the consent record that counts; None where there is none.
        language: the language in which features explain themselves.
        news: the day of a change of the policy that the visitor is to be told of, without being asked again; or None.
        honours_gpc: whether something is off by Global Privacy Control, now or since the answer was given: pages say so
            (11 CCR 7025(c)(6)).
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

    @property
    def traces(self) -> bool:
        """Whether access tracing is allowed by consent: a purpose that switches it is."""
        return any(self.purposes[purpose] for purpose in self.policy.traced)

    @property
    def exempt(self) -> str:
        """The id of the purpose by which the visit is recorded without consent; "" where it is not, or by consent."""
        id_ = self.policy.exempt
        return id_ if id_ and self.purposes[id_] and not self.traces else ""

    @property
    def consent_id(self) -> str:
        """What ties the records of the visitor's answers together; "" where there is none."""
        return self.record.consent_id if self.record else ""

    def allows(self, purpose: str) -> bool:
        """Return whether a purpose is allowed now.

        Raises:
            LookupError: the policy has no such purpose; names those that it has.
        """
        try:
            return self.purposes[purpose]
        except KeyError:
            known = f"Known: {', '.join(sorted(self.purposes))}."
            hints = dict.fromkeys([did_you_mean(str(purpose), self.purposes), known])
            raise LookupError(f'there is no purpose "{purpose}". {" ".join(hints)}') from None

    def feature(self, feature: str, *, language: str | None = None) -> FeatureState:
        """Return whether a feature is available, and what stands in its place.

        Args:
            feature: the feature's id.
            language: an offered language; the visitor's where it is left out.

        Raises:
            LookupError: the policy has no such feature, or does not offer the language.
        """
        declared = self.policy.feature(feature)
        fallback = declared.fallback.get(language or self.language)
        if fallback is None:
            raise LookupError(f'"{language}" is not offered. {did_you_mean(str(language), declared.fallback)}')
        missing = tuple(purpose for purpose in declared.purposes if not self.allows(purpose))
        return FeatureState(available=not missing, fallback=fallback, missing=missing)


def decide(
    policy: Policy,
    record: ConsentRecord | None,
    signals: frozenset[str],
    now: float,
    *,
    lifetime: timedelta = CONSENT_LIFETIME,
) -> Decision:
    """Decide which purposes are allowed.

    From the strongest: what is necessary is allowed; what the service refuses is not; an explicit answer, over the
    signals that were shown when it was given; a signal's refusal, also by a signal that has ruled over the answer
    before (11 CCR 7025); the last explicit answer, as far as the policy has not changed materially since; otherwise
    nothing. What was refused stays refused without being asked again.

    A purpose that the law exempts from consent is allowed until the visitor objects, by an answer or by a signal, and
    is never asked for.

    Args:
        policy: the policy as it holds where the request goes.
        record: the record that counts, if there is one.
        signals: the names of the browser's signals.
        now: seconds since 1970.
        lifetime: how long an answer holds.
    """
    if record is not None and not record.decided_at <= now < record.decided_at + lifetime.total_seconds():
        record = None
    refused_by_signals = what_signals_refuse(policy, signals)
    since = (signals | record.overruled) - record.signals if record else signals
    refused_by_new_signals = what_signals_refuse(policy, since)
    changed = _changed_since(policy, record)
    allowed, should_ask = dict.fromkeys(policy.in_force, True), False
    for purpose in policy.optional:
        answer = record.answers.get(purpose, _UNANSWERED) if record else _UNANSWERED
        unanswered, granted = answer.state is State.UNANSWERED, answer.state is State.GRANTED
        by_signal = purpose in (refused_by_signals if unanswered else refused_by_new_signals)
        ruled_out = policy.in_force[purpose].refused or by_signal
        if purpose == policy.exempt:
            allowed[purpose] = not ruled_out and not objects(policy, record)
            continue
        allowed[purpose] = granted and not ruled_out and purpose not in changed
        should_ask |= not ruled_out and (unanswered or (granted and purpose in changed))
    return Decision(
        policy=policy,
        purposes=MappingProxyType(allowed),
        status=record.status if record else "unknown",
        should_ask=should_ask,
        signals=tuple(sorted(signals)),
        record=record,
        language=policy.site.prevailing_language,
        news=None if should_ask else _news(policy, record, now),
        honours_gpc=_honours_gpc(policy, signals.union(record.overruled if record else ()), allowed),
    )


def grounds(policy: Policy, record: ConsentRecord | None, signals: frozenset[str], now: float) -> Hashable:
    """Return all that `decide` looks at, as a key; None where the answers are not shared, and too long for one.

    Decisions on the same grounds differ in nothing but the record.

    Args:
        policy: the policy as it holds where the request goes.
        record: the record that counts, which holds now, if there is one.
        signals: the names of the browser's signals.
        now: seconds since 1970.
    """
    if record is None:
        return policy, signals
    if not isinstance(record.answers, SharedAnswers):
        return None
    is_earlier = policy.changes and record.policy != policy.version
    days = (now // DAY, record.decided_at // DAY) if is_earlier else None  # for the news
    return policy, signals, record.answers, record.policy, record.signals, record.overruled, days


def with_record(decision: Decision, record: ConsentRecord | None) -> Decision:
    """Return the decision for another record on the same `grounds`."""
    return Decision(
        decision.policy,
        decision.purposes,
        decision.status,
        decision.should_ask,
        decision.signals,
        record,
        decision.language,
        decision.news,
        decision.honours_gpc,
    )


def without_optional(decision: Decision) -> Decision:
    """Return a decision with all its purposes off but what is necessary: something went wrong."""
    off = {purpose: purpose == NECESSARY for purpose in decision.purposes}
    return replace(decision, purposes=MappingProxyType(off))


def objects(policy: Policy, record: ConsentRecord | None) -> bool:
    """Return whether a visitor has objected to what runs without consent.

    Who refused all that was asked, or a purpose that traces, and said nothing of this one, has objected as well.
    """
    if record is None:
        return False
    refused = record.in_state(State.REFUSED)
    if policy.exempt in record.answers:
        return policy.exempt in refused
    return record.status == "refused" or not policy.traced.isdisjoint(refused)


def consents(policy: Policy, record: ConsentRecord) -> bool:
    """Return whether an answer grants something that needs consent."""
    return not {policy.exempt}.issuperset(record.in_state(State.GRANTED))


def what_signals_refuse(policy: Policy, signals: Collection[str]) -> frozenset[str]:
    """Return the ids of the purposes that signals refuse, by their names."""
    refused: frozenset[str] = frozenset()
    if not signals:
        return refused
    if "gpc" in signals:
        refused |= policy.gpc_refuses
    if "dnt" in signals:
        refused |= policy.dnt_refuses
    return refused


def switched_off(decision: Decision) -> frozenset[str]:
    """Return the ids of the purposes that were granted, and that a signal has refused since."""
    record = decision.record
    if record is None or not (decision.signals or record.overruled):
        return frozenset()
    since = record.overruled.union(decision.signals) - record.signals
    return what_signals_refuse(decision.policy, since).intersection(record.in_state(State.GRANTED))


def ruling_signals(decision: Decision) -> frozenset[str]:
    """Return the names of the signals that rule over the answer: those of now, and those that have done so before."""
    record = decision.record
    if record is None:
        return frozenset()
    granted = record.in_state(State.GRANTED)
    now = frozenset(decision.signals) - record.signals - record.overruled
    return record.overruled.union(
        name for name in now if not what_signals_refuse(decision.policy, {name}).isdisjoint(granted)
    )


def opted_out(decision: Decision) -> bool:
    """Return whether the visitor has refused each sale or sharing of personal information that there is."""
    sells, record = decision.policy.sells, decision.record
    return bool(sells) and record is not None and set(sells).issubset(record.in_state(State.REFUSED))


def heeds_signals(decision: Decision) -> bool:
    """Return whether something was granted that a signal can refuse, whatever signals there are now."""
    granted = decision.record.in_state(State.GRANTED) if decision.record else []
    return not (decision.policy.gpc_refuses | decision.policy.dnt_refuses).isdisjoint(granted)


def refused_by_signals(decision: Decision) -> bool:
    """Return whether a signal of the request, which has one, refuses something that the visitor has not refused."""
    policy, record = decision.policy, decision.record
    answered = [*record.in_state(State.GRANTED), *record.in_state(State.REFUSED)] if record else []
    if objects(policy, record):
        answered.append(policy.exempt)
    unanswered = what_signals_refuse(policy, decision.signals).difference(answered)
    return bool(unanswered) or bool(switched_off(decision))


def _honours_gpc(policy: Policy, signals: frozenset[str], allowed: Mapping[str, bool]) -> bool:
    return "gpc" in signals and not all(allowed[purpose] for purpose in policy.gpc_refuses)


def _news(policy: Policy, record: ConsentRecord | None, now: float) -> date | None:
    """Return the day of the newest change since the answer was given, as long as it is new."""
    if record is None or record.policy == policy.version or not policy.changes:
        return None
    today, answered = (datetime.fromtimestamp(time, UTC).date() for time in (now, record.decided_at))
    newest = max((change.date for change in policy.changes if change.date <= today), default=answered)
    return newest if newest > answered and today - newest < NEWS_LIFETIME else None


def _changed_since(policy: Policy, record: ConsentRecord | None) -> frozenset[str]:
    """The purposes whose material facts are not those that the record was given for."""
    if record is None or record.policy == policy.version:
        return frozenset()
    for earlier in policy.history:
        if earlier.version == record.policy:
            return widened(earlier, policy)
    now = digests(policy)
    return frozenset(id_ for id_, answer in record.answers.items() if id_ in now and answer.facts != now[id_])
