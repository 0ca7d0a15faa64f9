"""Compares two versions of a policy: what changed, which changes are material, and who is asked again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from cookie_consent.policy.parts import NECESSARY, Cookie, Recipient, ServicePurpose
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


EVERYBODY = "everybody"
WHO_ACCEPTED = "who accepted"
"""Who is asked for a purpose: everybody for a new one, else those who accepted it."""

Plain = Mapping[str, Any]

_PARTS = {
    "purposes": "purpose",
    "cookies": "cookie",
    "recipients": "recipient",
    "features": "feature",
    "services": "service",
}
"""Table -> the name of one of its entries."""
_ASKED_FOR = frozenset({"purpose", "cookie", "recipient"})
_TEXTS = frozenset(
    {
        *("title", "description", "data", "legal_basis", "receives", "safeguard", "use"),
        *("fallback", "text", "wording", "name"),
    }
)
_NOT_ANNOUNCED = frozenset({"changes", "security"})
"""Tables whose changes visitors need not read of."""
_UNSET = {"duration": "session"}
_NO_OVERRIDE = asdict(ServicePurpose())
_UNITS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference between two versions of a policy.

    Args:
        what: the place in the policy file and the change: 'cookie "_ga": duration 30 days -> 60 days'.
        purposes: ids of the purposes that a material change widens, or that another change touches.
        material: whether visitors are asked again.
    """

    what: str
    purposes: tuple[str, ...] = ()
    material: bool = False


def compare(old: Policy, new: Policy) -> tuple[PolicyChange, ...]:
    """Return what changed, in the order of the policy. The result is empty only if both are the same version.

    The purposes of the material changes are the ones in `material.widened`.
    """
    return tuple(change for changes in _by_table(old, new).values() for change in changes)


def asks_again(old: Policy, new: Policy, *, history: bool = True) -> dict[str, str]:
    """Return which purposes are asked for again, and of whom: purpose id -> `EVERYBODY` or `WHO_ACCEPTED`.

    A refused purpose stays refused and is not asked for again.

    Args:
        old: the policy that visitors answered.
        new: the policy in force.
        history: whether the middleware has the old policy in its history. Without it, the middleware only knows that a
            purpose changed, so it also asks for one that became narrower.
    """
    before, now = digests(old), digests(new)
    changed = widened(old, new) if history else {id_ for id_ in now if before.get(id_) != now[id_]}
    asked = {id_: WHO_ACCEPTED if id_ in before else EVERYBODY for id_ in changed}
    return {id_: asked[id_] for id_ in new.asked if id_ in asked}


def hosts_asking_again(old: Policy, new: Policy) -> tuple[str, ...]:
    """Return the hosts on which everybody is asked again, because earlier answers do not count there.

    An answer counts on the hosts that it names, in the domain in which it was given. Answers from before a site shared
    them stay where they are.
    """
    before, now = old.site.hosts, new.site.hosts
    if not before:
        return ()
    if old.site.domain != new.site.domain:
        return tuple(dict.fromkeys([*now, *before]))
    return tuple(host for host in dict.fromkeys([*now, *before]) if host not in before or host not in now)


def announcement(old: Policy, new: Policy, today: date) -> str:
    """Return the lines of TOML to announce a change, or "" if nothing changed or the new policy announces it.

    Args:
        old: the policy that was in force.
        new: the policy that will be.
        today: the date of the announcement, unless the new policy has a later one already.
    """
    changed = any(changes for table, changes in _by_table(old, new).items() if table not in _NOT_ANNOUNCED)
    if not changed or _last_announced(new) > _last_announced(old):
        return ""
    texts = ", ".join(f'{language} = "…"' for language in new.site.languages)
    # The newest announcement counts. One with an earlier date would be seen by nobody.
    return f"[[changes]]\ndate = {max(today, _last_announced(new)[0])}\ntext = {{ {texts} }}"


def _last_announced(policy: Policy) -> tuple[date, int]:
    """Return the newest date of the announcements, and how many have it."""
    days = [change.date for change in policy.changes]
    newest = max(days, default=date.min)
    return newest, days.count(newest)


def _by_table(old: Policy, new: Policy) -> dict[str, list[PolicyChange]]:
    """Compare the documents that the versions are computed from, table by table."""
    before, after = old.document(), new.document()
    # Adding or removing a language changes every text. Report it once, as a change of the site.
    languages = set(before["site"]["languages"]) ^ set(after["site"]["languages"])
    before, after = _without(languages, before), _without(languages, after)
    return {table: _table_changes(table, was, now) for table, was, now in _differing(before, after)}


def _without(languages: set[str], value: Any, above: str = "") -> Any:
    if isinstance(value, dict):
        # Only in texts, because the key "id" is also a language tag (Indonesian).
        dropped = languages if above in _TEXTS else ()
        return {key: _without(languages, item, key) for key, item in value.items() if key not in dropped}
    return [_without(languages, item) for item in value] if isinstance(value, list) else value


def _differing(before: Plain, after: Plain) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _table_changes(table: str, before: Any, after: Any) -> list[PolicyChange]:
    name = "texts" if table == "wording" else table
    if table in _PARTS:
        changes = [*_part_changes(table, _by_name(before), _by_name(after))]
    elif table == "changes":
        changes = [
            PolicyChange(f"{name}: {day} {_verb(*both)}") for day, *both in _differing(*map(_by_day, (before, after)))
        ]
    elif table in ("site", "signals", "wording"):
        changes = [*_key_changes(_Subject(name, is_text=table == "wording"), before, after)]
    else:
        changes = []
    return changes or [PolicyChange(f"[{name}] changed")]


@dataclass(frozen=True, slots=True)
class _Subject:
    """A part of the policy that changes.

    Args:
        name: how the report names it.
        touches: ids of the purposes that it belongs to.
        widens: ids of the purposes that become wider if it allows more.
        is_text: whether it is a text, whose changes are reported without the text.
    """

    name: str
    touches: tuple[str, ...] = ()
    widens: tuple[str, ...] = ()
    is_text: bool = False

    def change(self, what: str, *, more: bool = False) -> PolicyChange:
        material = more and bool(self.widens)
        return PolicyChange(what, self.widens if material else self.touches, material)


def _by_name(parts: list[Plain]) -> dict[str, Plain]:
    return {part.get("id") or part["name"]: part for part in parts}


def _by_day(changes: list[Plain]) -> dict[str, list[Plain]]:
    days: dict[str, list[Plain]] = {}
    for change in changes:
        days.setdefault(change["date"], []).append(change)
    return days


def _part_changes(table: str, old_parts: Plain, new_parts: Plain) -> Iterator[PolicyChange]:
    kind = _PARTS[table]
    for name, old, new in _differing(old_parts, new_parts):
        before, after = _purposes(old), _purposes(new)
        widens = tuple(id_ for id_ in after if id_ != NECESSARY) if kind in _ASKED_FOR else ()
        subject = _Subject(f'{kind} "{name}"', tuple(dict.fromkeys([*before, *after])), widens)
        if old and new:
            yield from _key_changes(subject, old, new)
        else:
            place = f' {"to" if new else "from"} "{subject.touches[0]}"' if kind in ("cookie", "recipient") else ""
            yield subject.change(f"{subject.name} {_verb(old, new)}{place}", more=new is not None)
    if _reordered([*old_parts], [*new_parts]):
        yield PolicyChange(f"{table} reordered")


def _purposes(part: Plain | None) -> list[str]:
    """Return the ids of the purposes of a part; of a purpose, its own id."""
    if part is None:
        return []
    return [part["purpose"]] if "purpose" in part else [*part.get("purposes", [part["id"]])]


def _key_changes(subject: _Subject, before: Plain, after: Plain, above: str = "") -> Iterator[PolicyChange]:
    """Compare two tables key by key, including the tables in them."""
    for key, old, new in _differing(before, after):
        key_subject, place = subject, f"{above}{key}"
        if key in _TEXTS and dict in (type(old), type(new)):  # a document leaves out some texts that nobody wrote
            old, new = old or {}, new or {}
        if subject.name == "signals":  # a signal's value is a list of purposes; those in one list only are touched
            key_subject = replace(subject, touches=tuple(sorted({*(old or ())} ^ {*(new or ())})))
        if key == "purposes" and isinstance(new, dict):
            yield from _override_changes(key_subject, old, new)
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _key_changes(
                replace(key_subject, is_text=key_subject.is_text or key in _TEXTS), old, new, f"{place}."
            )
        elif isinstance(old, list) and isinstance(new, list):
            yield from _list_changes(key_subject, place, old, new)
        elif key_subject.is_text:
            yield key_subject.change(f"{key_subject.name}: {place} {_verb(old, new)}")
        else:
            what = f"{key_subject.name}: {place} {_shown(key, old)} -> {_shown(key, new)}"
            yield key_subject.change(what, more=_is_more(place, old, new))


def _override_changes(service: _Subject, before: Plain, after: Plain) -> Iterator[PolicyChange]:
    """Compare a service's overrides of purposes. No change of them is material."""
    for purpose, old, new in _differing(before, after):
        subject, place = replace(service, touches=(purpose,)), f"purposes.{purpose}"
        changes = [*_key_changes(subject, old or _NO_OVERRIDE, new or _NO_OVERRIDE, f"{place}.")]
        yield from changes or [subject.change(f"{service.name}: {place} {_verb(old, new)}")]


def _list_changes(subject: _Subject, place: str, before: list[Any], after: list[Any]) -> Iterator[PolicyChange]:
    name = f"{subject.name}: {place}"
    for item in before:
        if item not in after:
            yield subject.change(f"{name} {_shown(place, item)} removed")
    for item in after:
        if item not in before:
            # Of all that lists name, only an origin gets data.
            yield subject.change(f"{name} {_shown(place, item)} added", more=place == "origins")
    if _reordered(before, after):
        yield subject.change(f"{name} reordered")


def _is_more(key: str, before: Any, after: Any) -> bool:
    """Return whether a value allows more than before, such as a longer retention or a sale that there was not."""
    # No value means that nothing is kept, or only for the session. Any time is more.
    if key in ("retention", "duration"):
        return (after or 0) > (before or 0)
    # What moves to another purpose, or from a cookie to storage, serves that one from now on, so it is asked for there.
    return key in ("purpose", "kind") or (key in ("traces", "sells") and bool(after))


def _verb(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "reworded"


def _shown(key: str, value: Any) -> str:
    if value in (None, ""):
        return _UNSET.get(key, "not set")
    if key in ("retention", "duration") and isinstance(value, int):
        name, unit = next((name, unit) for name, unit in _UNITS.items() if not value % unit)
        return f"{value // unit} {name}{'' if value == unit else 's'}"
    return json.dumps(value, ensure_ascii=False)


def _reordered(before: list[Any], after: list[Any]) -> bool:
    return [item for item in before if item in after] != [item for item in after if item in before]
