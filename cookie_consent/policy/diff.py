"""What changed from one policy to the next, for developers: what of it is material, and whom it asks again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from cookie_consent.policy.material import digests, widened
from cookie_consent.policy.parts import NECESSARY, ServicePurpose
from cookie_consent.policy.policy import Policy

EVERYBODY, WHO_ACCEPTED = "everybody", "who accepted"
"""Whom a purpose is asked of: an added one of everybody, another one of those who had accepted it."""

Plain = Mapping[str, Any]

_PARTS = {
    "purposes": "purpose",
    "cookies": "cookie",
    "recipients": "recipient",
    "features": "feature",
    "services": "service",
}
"""Table -> what one of its parts is called."""
_ASKED_FOR = frozenset({"purpose", "cookie", "recipient"})
_TEXTS = frozenset({"title", "description", "receives", "fallback", "text", "wording"})
_UNSET = {"duration": "session"}
_UNSAID = asdict(ServicePurpose())
_UNITS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference between two versions of a policy.

    Args:
        what: what changed, where it stands in the policy file: 'cookie "_ga": duration 30 days -> 60 days'.
        purposes: the ids of the purposes that do or keep more by it; where it is not material, of those it touches.
        material: whether it asks again.
    """

    what: str
    purposes: tuple[str, ...] = ()
    material: bool = False


def compare(old: Policy, new: Policy) -> tuple[PolicyChange, ...]:
    """Return what changed, in the order of the policy; nothing exactly if both are one version.

    The purposes of the material changes are those that `material.widened` has.
    """
    return tuple(change for changes in _by_table(old, new).values() for change in changes)


def asks_again(old: Policy, new: Policy, *, history: bool = True) -> dict[str, str]:
    """Return the purposes that are asked again: purpose id -> "everybody" or "who accepted".

    What was refused stays refused, without being asked.

    Args:
        old: the policy that they answered to.
        new: the policy in force.
        history: whether the middleware has the old policy in its history. Without it, it knows only that a purpose
            has changed, and asks also for one that became narrower.
    """
    before, now = digests(old), digests(new)
    changed = widened(old, new) if history else {id_ for id_ in now if before.get(id_) != now[id_]}
    return {
        id_: WHO_ACCEPTED if id_ in before else EVERYBODY
        for id_ in new.optional
        if id_ in changed and id_ != new.exempt and not new.in_force[id_].refused
    }


def announcement(old: Policy, new: Policy, today: date) -> str:
    """Return the lines of TOML that announce a change; "" if nothing changed, or the new policy announces something.

    Args:
        old: the policy that was in force.
        new: the policy that will be.
        today: the date to announce it with, unless something later is announced already.
    """
    changed = any(changes for table, changes in _by_table(old, new).items() if table != "changes")
    if not changed or _last_announced(new) > _last_announced(old):
        return ""
    texts = ", ".join(f'{language} = "…"' for language in new.site.languages)
    return f"[[changes]]\ndate = {max(today, _last_announced(new)[0])}\ntext = {{ {texts} }}"


def _last_announced(policy: Policy) -> tuple[date, int]:
    """The newest date of the announcements, and how many have it."""
    days = [change.date for change in policy.changes]
    newest = max(days, default=date.min)
    return newest, days.count(newest)


def _by_table(old: Policy, new: Policy) -> dict[str, list[PolicyChange]]:
    """Compare what the version is made of, table by table."""
    before, after = old.document(), new.document()
    # A language that comes or goes does so in every text; that is one change, of the site.
    languages = set(before["site"]["languages"]) ^ set(after["site"]["languages"])
    before, after = _without(languages, before), _without(languages, after)
    return {table: _of_table(table, was, now) for table, was, now in _differing(before, after)}


def _without(languages: set[str], value: Any, above: str = "") -> Any:
    if isinstance(value, dict):
        # Only in texts: "id" is a language too.
        dropped = languages if above in _TEXTS else ()
        return {key: _without(languages, item, key) for key, item in value.items() if key not in dropped}
    return [_without(languages, item) for item in value] if isinstance(value, list) else value


def _differing(before: Plain, after: Plain) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _of_table(table: str, before: Any, after: Any) -> list[PolicyChange]:
    name = "texts" if table == "wording" else table
    if table in _PARTS:
        changes = [*_of_parts(table, _by_name(before), _by_name(after))]
    elif table == "changes":
        changes = [
            PolicyChange(f"{name}: {day} {_happened(*both)}")
            for day, *both in _differing(*map(_by_day, (before, after)))
        ]
    elif table in ("site", "signals", "wording"):
        changes = [*_of_keys(_Subject(name, is_text=table == "wording"), before, after)]
    else:
        changes = []
    return changes or [PolicyChange(f"[{name}] changed")]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a change is of: its name, the purposes that it touches, and those that more of it widens."""

    name: str
    touches: tuple[str, ...] = ()
    widens: tuple[str, ...] = ()
    is_text: bool = False

    def has(self, what: str, *, more: bool = False) -> PolicyChange:
        material = more and bool(self.widens)
        return PolicyChange(what, self.widens if material else self.touches, material)


def _by_name(parts: list[Plain]) -> dict[str, Plain]:
    return {part.get("id") or part["name"]: part for part in parts}


def _by_day(changes: list[Plain]) -> dict[str, list[Plain]]:
    days: dict[str, list[Plain]] = {}
    for change in changes:
        days.setdefault(change["date"], []).append(change)
    return days


def _of_parts(table: str, olds: Plain, news: Plain) -> Iterator[PolicyChange]:
    kind = _PARTS[table]
    for name, old, new in _differing(olds, news):
        before, after = _purposes(old), _purposes(new)
        # Nobody is asked for what runs without consent; no cookie and no recipient belongs to it.
        asks = kind in _ASKED_FOR and not (new or {}).get("exempt")
        widens = tuple(id_ for id_ in after if id_ != NECESSARY) if asks else ()
        subject = _Subject(f'{kind} "{name}"', tuple(dict.fromkeys([*before, *after])), widens)
        if old and new:
            yield from _of_keys(subject, old, new)
        else:
            place = f' {"to" if new else "from"} "{subject.touches[0]}"' if kind in ("cookie", "recipient") else ""
            yield subject.has(f"{subject.name} {_happened(old, new)}{place}", more=new is not None)
    if _reordered([*olds], [*news]):
        yield PolicyChange(f"{table} reordered")


def _purposes(part: Plain | None) -> list[str]:
    """The ids of the purposes that a part is for, or is."""
    if part is None:
        return []
    return [part["purpose"]] if "purpose" in part else [*part.get("purposes", [part["id"]])]


def _of_keys(subject: _Subject, before: Plain, after: Plain, above: str = "") -> Iterator[PolicyChange]:
    """Compare two tables key by key, and tables in them."""
    for key, old, new in _differing(before, after):
        own, place = subject, f"{above}{key}"
        if subject.name == "signals":
            own = replace(subject, touches=tuple(sorted({*(old or ())} ^ {*(new or ())})))
        if key == "purposes" and isinstance(new, dict):
            yield from _of_conditions(own, old, new)
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _of_keys(replace(own, is_text=own.is_text or key in _TEXTS), old, new, f"{place}.")
        elif isinstance(old, list) and isinstance(new, list):
            yield from _of_list(own, place, old, new)
        elif own.is_text:
            yield own.has(f"{own.name}: {place} {_happened(old, new)}")
        else:
            said = f"{own.name}: {place} {_written(key, old)} -> {_written(key, new)}"
            yield own.has(said, more=_is_more(place, old, new))


def _of_conditions(service: _Subject, before: Plain, after: Plain) -> Iterator[PolicyChange]:
    """Compare what a service says otherwise about purposes; nothing of it is material."""
    for purpose, old, new in _differing(before, after):
        subject, place = replace(service, touches=(purpose,)), f"purposes.{purpose}"
        changes = [*_of_keys(subject, old or _UNSAID, new or _UNSAID, f"{place}.")]
        yield from changes or [subject.has(f"{service.name}: {place} {_happened(old, new)}")]


def _of_list(subject: _Subject, place: str, before: list[Any], after: list[Any]) -> Iterator[PolicyChange]:
    name = f"{subject.name}: {place}"
    for item in before:
        if item not in after:
            yield subject.has(f"{name} {_written(place, item)} removed")
    for item in after:
        if item not in before:
            yield subject.has(f"{name} {_written(place, item)} added", more=place == "origins")
    if _reordered(before, after):
        yield subject.has(f"{name} reordered")


def _is_more(key: str, before: Any, after: Any) -> bool:
    """Tell whether a value allows more than before: it is kept longer, or does something that it did not."""
    if key in ("retention", "duration"):
        return (after or 0) > (before or 0)
    return key == "purpose" or (key in ("traces", "sells") and bool(after)) or (key == "exempt" and not after)


def _happened(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "reworded"


def _written(key: str, value: Any) -> str:
    if value in (None, ""):
        return _UNSET.get(key, "not set")
    if key in ("retention", "duration") and isinstance(value, int):
        name, unit = next((name, unit) for name, unit in _UNITS.items() if not value % unit)
        return f"{value // unit} {name}{'' if value == unit else 's'}"
    return json.dumps(value, ensure_ascii=False)


def _reordered(before: list[Any], after: list[Any]) -> bool:
    return [item for item in before if item in after] != [item for item in after if item in before]
