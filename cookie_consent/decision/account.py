"""The answer that a site keeps with an account: its format, and which answer applies on a device."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cookie_consent.base.clock import is_future
from cookie_consent.base.dates import rfc3339, seconds_of
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.material import digests
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import ID, LANGUAGE

VERSION = 1
"""The version of the format."""
_STATES = {"granted": State.GRANTED, "refused": State.REFUSED}
_NAMES = {state: name for name, state in _STATES.items()}
_FACTS, _POLICY = re.compile(r"[A-Za-z0-9_-]{5}"), re.compile(r"[0-9a-f]{16}")
_LONGEST_LANGUAGE = 35
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def account_document(record: ConsentRecord) -> dict[str, Any]:
    """Return an answer as the plain data that a site keeps with an account. `docs/accounts.md` explains it."""
    answered = {id_: answer for id_, answer in record.answers.items() if answer.state in _NAMES}
    chosen = {id_: sorted(answer.recipients) for id_, answer in answered.items() if answer.recipients is not None}
    return {
        "version": VERSION,
        "answers": {id_: _NAMES[answer.state] for id_, answer in answered.items()},
        **({"recipients": chosen} if chosen else {}),
        "facts": {id_: answer.facts for id_, answer in answered.items()},
        "policy": record.policy,
        "decided_at": rfc3339(record.decided_at),
        "language": record.language,
    }


def read_account(data: object, policy: Policy, now: float, lifetime: timedelta) -> ConsentRecord | None:
    """Return the answer that a site kept with an account; None if there is none, or it is expired or not valid.

    Args:
        data: what the site returned. It may be of any shape.
        policy: the site's policy. Purposes that it no longer has are left out.
        now: seconds since 1970.
        lifetime: how long an answer is valid.
    """
    try:
        record = _record(data, policy)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    is_valid = not is_future(record.decided_at, now) and now < record.decided_at + lifetime.total_seconds()
    return record if is_valid and record.status != "unknown" else None


def _record(data: Any, policy: Policy) -> ConsentRecord:
    """Read an answer.

    Raises:
        Exception: it is not valid: a `ValueError`, `TypeError`, `KeyError`, `AttributeError` or `OverflowError`.
    """
    if data["version"] != VERSION:
        raise ValueError("this is another version")
    facts, answers, chosen = data["facts"], dict[str, Answer](), data.get("recipients", {})
    for id_, name in data["answers"].items():
        recipients = frozenset(map(_of(ID), chosen[id_])) if id_ in chosen else None
        answers[_of(ID)(id_)] = Answer(_STATES[name], _of(_FACTS)(facts[id_]), recipients)
    now, unanswered = digests(policy), [id_ for id_ in policy.optional if id_ != policy.exempt]
    kept = {id_: Answer(State.UNANSWERED, now[id_]) for id_ in unanswered if id_ not in answers}
    return ConsentRecord(
        answers={id_: (answers | kept)[id_] for id_ in policy.optional if id_ in answers or id_ in kept},
        policy=_of(_POLICY)(data["policy"]),
        decided_at=int(seconds_of(_of(_TIME)(data["decided_at"]))),
        source="account",
        language=_of(LANGUAGE)(data["language"])[:_LONGEST_LANGUAGE],
    )


def _of(pattern: re.Pattern[str]) -> Any:
    """Return a function that returns a text that matches, and raises otherwise."""

    def checked(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not valid")
        return text

    return checked


def differ(one: ConsentRecord, other: ConsentRecord) -> bool:
    """Return whether two answers differ for some purpose."""
    ids = {*one.answers, *other.answers}
    return any(_answered(one, id_) != _answered(other, id_) for id_ in ids)


def _answered(record: ConsentRecord, id_: str) -> tuple[State, frozenset[str] | None]:
    answer = record.answers.get(id_)
    return (answer.state, answer.recipients) if answer else (State.UNANSWERED, None)


def stricter(device: ConsentRecord, account: ConsentRecord, policy: Policy) -> ConsentRecord:
    """Return the answer that applies where a device and an account have one each: for each purpose the stricter.

    What was refused in either is refused. What was granted in one and not answered in the other is granted. The time is
    that of the older answer, so that no grant lasts longer than it was given for; without a grant, that of the newer.

    Args:
        device: the answer on the device.
        account: the answer kept with the account.
        policy: the site's policy.
    """
    answers = {
        id_: answer
        for id_ in policy.optional
        if (answer := _stricter_answer(device.answers.get(id_), account.answers.get(id_), digests(policy)[id_]))
    }
    times, grants = (device.decided_at, account.decided_at), State.GRANTED in {one.state for one in answers.values()}
    return replace(
        account,
        answers=answers,
        # By the version that is not in force, purposes that have changed since are asked again.
        policy=account.policy if device.policy == policy.version else device.policy,
        decided_at=min(times) if grants else max(times),
    )


def takes_back(account: ConsentRecord, device: ConsentRecord, policy: Policy) -> bool:
    """Return whether the answer kept with an account refuses something that the one on a device grants."""
    applied = stricter(device, account, policy)
    granted = [id_ for id_, answer in device.answers.items() if answer.state is State.GRANTED]
    return any(_answered(applied, id_) != _answered(device, id_) for id_ in granted)


def _stricter_answer(one: Answer | None, other: Answer | None, facts: str) -> Answer | None:
    """Return the stricter of two answers for a purpose; None if there is none.

    Args:
        one: the one.
        other: the other.
        facts: the digest of the purpose's material facts now.
    """
    both = [answer for answer in (one, other) if answer]
    for state in (State.REFUSED, State.GRANTED):
        found = [answer for answer in both if answer.state is state]
        if found:
            # Of two grants, the one that was given to other facts: what changed since is asked again.
            chosen = next((answer for answer in found if answer.facts != facts), found[0])
            limits = [answer.recipients for answer in found if answer.recipients is not None]
            common = frozenset.intersection(*limits) if limits else None
            if common == frozenset():  # nobody is granted in both, which is a refusal
                return replace(chosen, state=State.REFUSED, recipients=None)
            return replace(chosen, recipients=common)
    return both[0] if both else None
