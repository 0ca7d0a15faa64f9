"""Material changes of a policy: changes of what a purpose does, as opposed to its texts. Only these ask again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from cookie_consent.policy.parts import Cookie, Recipient
from cookie_consent.policy.policy import Policy, canonical_json


@lru_cache(maxsize=64)
def digests(policy: Policy) -> Mapping[str, str]:
    """Return a digest of each optional purpose's material facts: purpose id -> 5 characters of URL-safe base64."""
    return {purpose: _digest(_facts(policy, purpose)) for purpose in policy.optional}


# Each new decision on an older answer asks for this. There are few pairs of policies.
@lru_cache(maxsize=64)
def widened(old: Policy, new: Policy) -> frozenset[str]:
    """Return the ids of the optional purposes that do or keep more in the new policy than in the old one.

    A purpose is wider if

    - the purpose itself is new, or a cookie, recipient or origin was added to it or moved to it;
    - its retention, or the lifetime of one of its cookies, is longer;
    - it now traces, or now is a sale or sharing.

    Removals and shorter times do not make it wider.
    """
    return frozenset(purpose for purpose in new.optional if _is_wider(old, new, purpose))


def _digest(facts: object) -> str:
    # 30 bits are short enough for the cookie. A change goes unnoticed once in a billion.
    return base64.urlsafe_b64encode(hashlib.sha256(canonical_json(facts)).digest())[:5].decode()


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())


def _facts(policy: Policy, purpose: str) -> object:
    declared = next(part for part in policy.purposes if part.id == purpose)
    cookies = policy.cookies_of(purpose)
    recipients = policy.recipients_of(purpose)
    return [
        purpose,
        declared.traces,
        declared.sells,
        _seconds(declared.retention),
        sorted((_kind_and_name(cookie), _seconds(cookie.duration) or 0) for cookie in cookies),
        sorted((recipient.id, sorted(recipient.origins)) for recipient in recipients),
    ]


def _is_wider(old: Policy, new: Policy, purpose: str) -> bool:
    before = next((part for part in old.purposes if part.id == purpose), None)
    after = next(part for part in new.purposes if part.id == purpose)
    return (
        before is None
        or (after.traces and not before.traces)
        or (after.sells and not before.sells)
        or (after.retention or timedelta(0)) > (before.retention or timedelta(0))
        or _cookies_wider(old.cookies_of(purpose), new.cookies_of(purpose))
        or _recipients_wider(old.recipients_of(purpose), new.recipients_of(purpose))
    )


def _cookies_wider(old: list[Cookie], new: list[Cookie]) -> bool:
    before = {_kind_and_name(cookie): cookie for cookie in old}
    return any(
        _kind_and_name(cookie) not in before or _cookie_wider(before[_kind_and_name(cookie)], cookie) for cookie in new
    )


def _kind_and_name(cookie: Cookie) -> str:
    # No cookie's name has a space.
    return f"storage {cookie.name}" if cookie.is_stored else cookie.name


def _cookie_wider(old: Cookie, new: Cookie) -> bool:
    # A session cookie counts as the shortest: any fixed lifetime outlives the session.
    return (new.duration or timedelta(0)) > (old.duration or timedelta(0))


def _recipients_wider(old: list[Recipient], new: list[Recipient]) -> bool:
    origins = {recipient.id: set(recipient.origins) for recipient in old}
    return any(
        recipient.id not in origins or not origins[recipient.id].issuperset(recipient.origins) for recipient in new
    )
