"""What holds for each purpose, and why. Gate, pages, link and state all go by it."""

from __future__ import annotations

from enum import StrEnum

from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.diff import digests, widened
from cookie_consent.policy.policy import Policy

_UNANSWERED = Answer(State.UNANSWERED, "")


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
_OF_SIGNAL = {"gpc": Reason.GPC, "dnt": Reason.DNT}
BY_SIGNAL = frozenset({Reason.GPC, Reason.DNT, Reason.SIGNAL})


def reasons_of(
    policy: Policy, record: ConsentRecord | None, signals: frozenset[str]
) -> tuple[dict[str, Reason], frozenset[str]]:
    """Return the reason of each optional purpose, in the order of the policy, and the purposes that a signal refuses.

    A signal may refuse what an answer has refused too. The visitor is the reason only after refusing everything: a
    refused sale may be the signal's, see `make_record`.

    Args:
        policy: the policy that applies.
        record: the visitor's valid answer, if any.
        signals: names of the browser's signals.
    """
    changed = _changed_since(policy, record)
    # An answer overrides the signals that were present when it was given.
    since = (signals | record.overridden_by) - record.signals if record else signals
    refused_all = record is not None and record.status == "refused"
    refuses = {"gpc": policy.gpc_refuses, "dnt": policy.dnt_refuses}
    reasons = {}
    by_signal = set()
    for purpose in policy.optional:
        state = record.answers.get(purpose, _UNANSWERED).state if record else State.UNANSWERED
        counting = since if state is State.GRANTED else signals
        if purpose in changed:
            # The grant that overrode a signal is no more.
            counting |= signals
        refusing = [name for name, refused in refuses.items() if name in counting and purpose in refused]
        reasons[purpose] = _reason(policy, purpose, state, is_changed=purpose in changed)
        if refusing:
            by_signal.add(purpose)
        if refusing and not (refused_all and state is State.REFUSED):
            reasons[purpose] = next((_OF_SIGNAL[name] for name in refusing if name in signals), Reason.SIGNAL)
    return reasons, frozenset(by_signal)


def _reason(policy: Policy, purpose: str, state: State, *, is_changed: bool) -> Reason:
    """Return the reason of a purpose, signals apart."""
    if policy.in_force[purpose].refused:
        return Reason.REFUSED_HERE
    if state is State.REFUSED:
        return Reason.REFUSED
    if state is State.GRANTED and not is_changed:
        return Reason.GRANTED
    if policy.is_opt_out:
        return Reason.UNREFUSED
    return Reason.CHANGED if state is State.GRANTED else Reason.UNANSWERED


def outcome_of(policy: Policy, record: ConsentRecord | None, reasons: dict[str, Reason]) -> str:
    """Return what holds on the whole for the purposes that may be allowed here; see `Decision`."""
    here = {reasons[purpose] for purpose in policy.asked}
    answered = {answer.state for answer in record.answers.values()} if record else set()
    if here == {Reason.GRANTED}:
        return "granted"
    if here == {Reason.REFUSED}:
        return "refused"
    if Reason.GRANTED in here or (State.GRANTED in answered and Reason.UNREFUSED in here):
        return "partial"
    if here and here.isdisjoint(ASKED | {Reason.UNREFUSED}):
        return "necessary"
    if State.GRANTED in answered or not here:
        return ""
    if State.REFUSED in answered:
        return "opted_out"
    return "unknown_opt_out" if Reason.UNREFUSED in here else "unknown"


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
