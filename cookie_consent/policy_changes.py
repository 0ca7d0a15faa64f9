"""What changed from one policy to the next, in words for developers: what of it is material, and whom it asks again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from typing import Any

from cookie_consent.material import digests, widened
from cookie_consent.parts import NECESSARY, ServicePurpose
from cookie_consent.policy import Policy

EVERYBODY, WHO_ACCEPTED = "everybody", "who accepted"
"""Whom a purpose is asked of: an added one of everybody, another one of those who had accepted it."""

Plain = Mapping[str, Any]
Told = Iterable[tuple[str, bool]]
"""Sentences, and of each whether it tells of more than before."""
Phrase = Callable[[str, str, Any, Any], Told]
"""Tells of a key, of what has it, and of its values before and after."""

_MATERIAL = frozenset({"purpose", "retention", "traces", "sells", "exempt", "duration", "origins"})
_ASKED_FOR = frozenset({"purpose", "cookie", "recipient"})
_NOUNS = {
    "duration": "lifetime",
    "policy_url": "policy address",
    "prevailing_language": "prevailing language",
    "receives": 'text "receives"',
}
_NO_TIME = {"duration": "the session", "retention": "nothing"}
_UNITS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
_TEXTS = frozenset({"title", "description", "receives", "fallback", "text", "wording"})
_SIGNALS = {"gpc": "Sec-GPC", "dnt": "DNT"}
_UNSAID = asdict(ServicePurpose())


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference between two versions of a policy.

    Args:
        what: what changed, as a part of a sentence: 'the cookie "_ga" was added to "analytics"'.
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
    changes = [*_TABLES[table](before, after)] if table in _TABLES else []
    return changes or [PolicyChange(f"the table [{'texts' if table == 'wording' else table}] changed")]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What sentences are about: its name in them, the purposes that it touches, and those that more of it widens."""

    name: str = ""
    touches: tuple[str, ...] = ()
    widens: tuple[str, ...] = ()

    def has(self, what: str, *, more: bool = False) -> PolicyChange:
        material = more and bool(self.widens)
        return PolicyChange(what, self.widens if material else self.touches, material)


def _parts(kind: str, before: list[Plain], after: list[Plain]) -> Iterator[PolicyChange]:
    olds, news = _by_name(before), _by_name(after)
    for name, old, new in _differing(olds, news):
        yield from _of_part(kind, name, old, new)
    if _reordered([*olds], [*news]):
        yield PolicyChange(f"the order of the {kind}s changed")


def _by_name(parts: list[Plain]) -> dict[str, Plain]:
    return {part.get("id") or part["name"]: part for part in parts}


def _of_part(kind: str, name: str, old: Plain | None, new: Plain | None) -> Iterator[PolicyChange]:
    declared, before, after = f'the {kind} "{name}"', _purposes(old), _purposes(new)
    # Nobody is asked for what runs without consent; no cookie and no recipient belongs to it.
    asks = kind in _ASKED_FOR and not (new or {}).get("exempt")
    widens = tuple(id_ for id_ in after if id_ != NECESSARY) if asks else ()
    touches = tuple(dict.fromkeys([*before, *after]))
    subject = _Subject(f'"{name}"' if kind == "purpose" else declared, touches, widens)
    if old and new:
        yield from _of_keys(subject, old, new)
    else:
        place = f' {"to" if new else "from"} "{touches[0]}"' if kind in ("cookie", "recipient") else ""
        yield subject.has(f"{declared} was {'added' if new else 'removed'}{place}", more=new is not None)


def _purposes(part: Plain | None) -> list[str]:
    """The ids of the purposes that a part is for, or is."""
    if part is None:
        return []
    return [part["purpose"]] if "purpose" in part else [*part.get("purposes", [part["id"]])]


def _of_keys(
    subject: _Subject, before: Plain, after: Plain, phrases: Mapping[str, Phrase] | None = None
) -> Iterator[PolicyChange]:
    for key, old, new in _differing(before, after):
        if key == "purposes" and isinstance(new, dict):
            yield from _conditions(subject, old, new)
            continue
        kind = type(new) if isinstance(old, type(new)) else object
        tell = (phrases or _KEYS).get(key) or _TYPES.get(kind, _exchanged)
        for what, more in tell(key, subject.name, old, new):
            yield subject.has(what, more=more and key in _MATERIAL)


def _conditions(service: _Subject, before: Plain, after: Plain) -> Iterator[PolicyChange]:
    """What a service says otherwise about purposes; nothing of it is material."""
    for purpose, old, new in _differing(before, after):
        subject = _Subject(f'"{purpose}" in {service.name}', (purpose,))
        changes = [*_of_keys(subject, old or _UNSAID, new or _UNSAID, _IN_SERVICES)]
        yield from changes or [subject.has(f"the conditions of {subject.name} changed")]


def _exchanged(key: str, name: str, before: Any, after: Any) -> Told:
    yield f"{_noun(key, name)} changed from {_written(before)} to {_written(after)}", False


def _moved(_: str, name: str, before: str, after: str) -> Told:
    yield f'{name} was moved from "{before}" to "{after}"', True


def _lasts(key: str, name: str, before: int | None, after: int | None) -> Told:
    was, now = before or 0, after or 0
    verb = "grew" if now > was else "shrank" if now < was else "changed"
    yield f"{_noun(key, name)} {verb} from {_time(key, before)} to {_time(key, after)}", verb == "grew"


def _kept(key: str, name: str, before: int | None, after: int | None) -> Told:
    was, now = ("that of the site" if own is None else _time(key, own) for own in (before, after))
    yield f"{_noun(key, name)} changed from {was} to {now}", False


def _switched(key: str, name: str, _: bool, after: bool) -> Told:
    if key == "traces":
        yield f"tracing was switched {'on' if after else 'off'} for {name}", after
    else:
        yield f"{name} is {'now' if after else 'no longer'} refused", after


def _exempted(_: str, name: str, before: str | None, after: str | None) -> Told:
    if after:
        yield f'{name} now runs without consent, by the exemption "{after}"', False
    else:
        yield f'{name} needs consent now; it ran by the exemption "{before}"', True


def _erased(_: str, name: str, __: bool | None, after: bool | None) -> Told:
    yield f"what was recorded for {name} is {'now' if after else 'no longer'} erased on withdrawal", False


def _sold(_: str, name: str, __: bool | None, after: bool | None) -> Told:
    yield f"{name} is {'now' if after else 'no longer'} a sale or sharing of personal information", bool(after)


def _reworded(key: str, name: str, before: Plain, after: Plain) -> Told:
    for language, old, new in _differing(before, after):
        yield f'{_noun(key, name)} in "{language}" {_happened(old, new)}', False


def _listed(key: str, name: str, before: list[Any], after: list[Any]) -> Told:
    item = key.removesuffix("s")
    for gone in (own for own in before if own not in after):
        yield f"the {item} {_written(gone)} was removed{name and f' from {name}'}", False
    for added in (own for own in after if own not in before):
        yield f"the {item} {_written(added)} was added{name and f' to {name}'}", True
    if _reordered(before, after):
        yield f"the order of {_noun(key, name)} changed", False


def _signals(before: Plain, after: Plain) -> Iterator[PolicyChange]:
    for key, old, new in _differing(before, after):
        touched = tuple(sorted(set(old or ()) ^ set(new or ())))
        refuses = f"what {_SIGNALS.get(key, key)} refuses"
        yield PolicyChange(f"{refuses} changed from {_refusals(old)} to {_refusals(new)}", touched)


def _refusals(purposes: list[str] | None) -> str:
    return "the default" if purposes is None else ", ".join(map(_written, purposes)) or "nothing"


def _announced(before: list[Plain], after: list[Plain]) -> Iterator[PolicyChange]:
    for day, old, new in _differing(_by_day(before), _by_day(after)):
        yield PolicyChange(f"the announcement of {day} {_happened(old, new)}")


def _by_day(changes: list[Plain]) -> dict[str, list[Plain]]:
    days: dict[str, list[Plain]] = {}
    for change in changes:
        days.setdefault(change["date"], []).append(change)
    return days


def _wording(before: Plain, after: Plain) -> Iterator[PolicyChange]:
    for language, old, new in _differing(before, after):
        for name, was, now in _differing(old or {}, new or {}):
            yield PolicyChange(f'the text "{name}" in "{language}" {_happened(was, now)}')


def _noun(key: str, name: str) -> str:
    return f"the {_NOUNS.get(key, key)}{name and f' of {name}'}"


def _happened(before: object, after: object) -> str:
    return "was added" if before is None else "was removed" if after is None else "was reworded"


def _written(value: object) -> str:
    return "none" if value in (None, "") else json.dumps(value, ensure_ascii=False)


def _time(key: str, seconds: int | None) -> str:
    if seconds is None:
        return _NO_TIME[key]
    name, unit = next((name, unit) for name, unit in _UNITS.items() if not seconds % unit)
    return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"


def _reordered(before: list[Any], after: list[Any]) -> bool:
    return [item for item in before if item in after] != [item for item in after if item in before]


_TABLES: Mapping[str, Callable[[Any, Any], Iterable[PolicyChange]]] = {
    "site": partial(_of_keys, _Subject()),
    "purposes": partial(_parts, "purpose"),
    "cookies": partial(_parts, "cookie"),
    "recipients": partial(_parts, "recipient"),
    "features": partial(_parts, "feature"),
    "services": partial(_parts, "service"),
    "changes": _announced,
    "signals": _signals,
    "wording": _wording,
}
_KEYS: Mapping[str, Phrase] = {
    "purpose": _moved,
    "retention": _lasts,
    "duration": _lasts,
    "traces": _switched,
    "refused": _switched,
    "exempt": _exempted,
    "erase_on_withdrawal": _erased,
    "sells": _sold,
}
_IN_SERVICES: Mapping[str, Phrase] = {"retention": _kept, "refused": _switched}
_TYPES: Mapping[type, Phrase] = {dict: _reworded, list: _listed}
