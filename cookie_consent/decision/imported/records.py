"""Turns the cookie of another consent tool into a consent record, by the mapping in the policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from cookie_consent.base.clock import is_future
from cookie_consent.base.cookies.fields import values
from cookie_consent.decision.imported.readers import EarlierAnswer, agreed, read
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.imports import Import
from cookie_consent.policy.material import digests
from cookie_consent.policy.policy import Policy

_MOST_COOKIES = 8
"""Cookies of one name, from different paths and domains."""
_STATES = {True: State.GRANTED, False: State.REFUSED, None: State.UNANSWERED}


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """An answer that was given to another tool.

    Args:
        record: the answer as ours, without a consent id.
        tool: the tool.
        digest: the SHA-256 of the cookie's value in hexadecimal.
    """

    record: ConsentRecord
    tool: str
    digest: str


def import_answer(policy: Policy, cookies: bytes, now: float, lifetime: timedelta) -> ImportedAnswer | None:
    """Return the answer in the cookie of another tool; None if there is no clear and recent one.

    Nothing is granted that was not granted there. Only the first tool in the policy counts whose cookie is there. Of
    several cookies with its name, all have to agree on a grant, and one refusal is enough.

    Args:
        policy: the site's policy, with its imports.
        cookies: the Cookie field.
        now: seconds since 1970.
        lifetime: how long an answer is valid.
    """
    for declared in policy.imports:
        found = values(cookies, declared.cookie.encode("ascii"))
        if found:
            answers = [_read(declared, value, now, lifetime) for value in found[:_MOST_COOKIES]]
            record = _record(policy, declared, answers, now)
            if record is None:
                return None
            return ImportedAnswer(record, declared.id, hashlib.sha256(found[0]).hexdigest())
    return None


def imported_key(policy: Policy, cookies: bytes) -> str | None:
    """Return what identifies the cookie of another tool in a Cookie field; None if there is none.

    Args:
        policy: the site's policy, with its imports.
        cookies: the Cookie field.
    """
    for declared in policy.imports:
        for value in values(cookies, declared.cookie.encode("ascii")):
            return f"{declared.id} {hashlib.sha256(value).hexdigest()}"
    return None


def _read(declared: Import, value: bytes, now: float, lifetime: timedelta) -> EarlierAnswer:
    """Read one cookie. An answer to another revision, from the future, or older than its lifetime is none."""
    answer = read(declared.id, value)
    if answer is None or answer.revision != declared.revision:
        return EarlierAnswer({})
    if answer.at is None:
        return answer
    is_valid = not is_future(answer.at, now) and now < answer.at + lifetime.total_seconds()
    return answer if is_valid else EarlierAnswer({})


def _record(policy: Policy, declared: Import, answers: list[EarlierAnswer], now: float) -> ConsentRecord | None:
    facts, states = digests(policy), dict[str, State]()
    for purpose in policy.optional:
        names = declared.purposes.get(purpose)
        state = _STATES[agreed([answer.state(names) for answer in answers])] if names else State.UNANSWERED
        # Nobody is asked for the exempt purpose, so it has an answer or is left out.
        if purpose != policy.exempt or state is not State.UNANSWERED:
            states[purpose] = state
    if {*states.values()} <= {State.UNANSWERED}:
        return None
    return ConsentRecord(
        answers={purpose: Answer(state, facts[purpose]) for purpose, state in states.items()},
        policy=policy.version,
        decided_at=int(min([now, *(answer.at for answer in answers if answer.at is not None)])),
        source="imported",
        # No signal is overridden: those of today may be newer than the answer.
        language=policy.site.prevailing_language,
    )
