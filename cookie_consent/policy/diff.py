"""Compares two versions of a policy: what changed, which changes are material, and who is asked again.

A change of what a purpose does is material; one of its texts is not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from cookie_consent.policy.parts import NECESSARY, ServicePurpose
from cookie_consent.policy.policy import Policy, canonical_json, make_plain
from cookie_consent.policy.syntax import written_duration

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
_TITLES = {"site": "site", "signals": "signals", "wording": "texts"}
"""Table that is one part -> its name in a policy file."""
_TEXTS = frozenset(
    {
        *("title", "description", "data", "legal_basis", "receives", "safeguard", "use"),
        *("fallback", "text", "wording", "name"),
    }
)
_NO_OVERRIDE = asdict(ServicePurpose())


@lru_cache(maxsize=64)
def digests(policy: Policy) -> Mapping[str, str]:
    """Return a digest of each optional purpose's material facts: purpose id -> 5 characters of URL-safe base64."""
    found = {}
    for purpose in policy.optional:
        digest = hashlib.sha256(canonical_json(_list_facts(policy, purpose))).digest()
        # 30 bits are short enough for the cookie. A change goes unnoticed once in a billion.
        found[purpose] = base64.urlsafe_b64encode(digest)[:5].decode()
    return found


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
    wider = set()
    for purpose in new.optional:
        before = _list_limits(old, purpose) if purpose in old.optional else {}
        after = _list_limits(new, purpose)
        # A session cookie counts as the shortest: any fixed lifetime outlives the session.
        if any(fact not in before or limit > before[fact] for fact, limit in after.items()):
            wider.add(purpose)
    return frozenset(wider)


def _list_facts(policy: Policy, purpose: str) -> list[Any]:
    declared = next(part for part in policy.purposes if part.id == purpose)
    cookies = []
    for cookie in policy.cookies_of(purpose):
        # No cookie's name has a space.
        name = f"storage {cookie.name}" if cookie.is_stored else cookie.name
        cookies.append((name, make_plain(cookie.duration) or 0))
    recipients = [(recipient.id, sorted(recipient.origins)) for recipient in policy.recipients_of(purpose)]
    return [
        purpose,
        declared.traces,
        declared.sells,
        make_plain(declared.retention),
        sorted(cookies),
        sorted(recipients),
    ]


def _list_limits(policy: Policy, purpose: str) -> dict[Any, int]:
    """Return fact -> how much it allows."""
    _, traces, sells, retention, cookies, recipients = _list_facts(policy, purpose)
    limits = {"traces": traces, "sells": sells, "retention": retention or 0, **dict(cookies)}
    for recipient, origins in recipients:
        limits |= {(recipient, origin): 0 for origin in ("", *origins)}
    return limits


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

    The purposes of the material changes are the ones in `widened`.
    """
    before = old.document()
    after = new.document()
    # Adding or removing a language changes every text. Report it once, as a change of the site.
    languages = set(before["site"]["languages"]) ^ set(after["site"]["languages"])
    changes: list[PolicyChange] = []
    for table, was, now in _find_differences(_drop_languages(languages, before), _drop_languages(languages, after)):
        found: list[PolicyChange] = []
        for title, *both in _find_differences(_name_parts(table, was), _name_parts(table, now)):
            found += _compare_parts(table, title, *both)
        # Nothing is found where something only has another place in a list.
        changes += found or [PolicyChange(f"[{_TITLES.get(table, table)}] changed")]
    return tuple(changes)


def asks_again(old: Policy, new: Policy, *, history: bool = True) -> dict[str, str]:
    """Return which purposes are asked for again, and of whom: purpose id -> `EVERYBODY` or `WHO_ACCEPTED`.

    A refused purpose stays refused and is not asked for again.

    Args:
        old: the policy that visitors answered.
        new: the policy in force.
        history: whether the middleware has the old policy in its history. Without it, the middleware only knows that a
            purpose changed, so it also asks for one that became narrower.
    """
    before = digests(old)
    now = digests(new)
    changed = widened(old, new) if history else {id_ for id_ in now if before.get(id_) != now[id_]}
    return {id_: WHO_ACCEPTED if id_ in before else EVERYBODY for id_ in new.asked if id_ in changed}


def hosts_asking_again(old: Policy, new: Policy) -> tuple[str, ...]:
    """Return the hosts on which everybody is asked again, because earlier answers do not count there.

    An answer counts on the hosts that it names, in the domain in which it was given. Answers from before a site shared
    them stay where they are.
    """
    before = old.site.hosts
    now = new.site.hosts
    has_moved = old.site.domain != new.site.domain
    hosts = dict.fromkeys([*now, *before]) if before else ()
    return tuple(host for host in hosts if has_moved or host not in before or host not in now)


def announcement(old: Policy, new: Policy, today: date) -> str:
    """Return the lines of TOML to announce a change, or "" if nothing changed or the new policy announces it.

    Args:
        old: the policy that was in force.
        new: the policy that will be.
        today: the date of the announcement, unless the new policy has a later one already.
    """
    changed = {table for table, _, _ in _find_differences(old.document(), new.document())}
    # Visitors need not read of the changes of these tables.
    if changed <= {"changes", "security"} or _find_last_date(new) > _find_last_date(old):
        return ""
    texts = ", ".join(f'{language} = "…"' for language in new.site.languages)
    # The newest announcement counts. One with an earlier date would be seen by nobody.
    return f"[[changes]]\ndate = {max(today, _find_last_date(new)[0])}\ntext = {{ {texts} }}"


def _find_last_date(policy: Policy) -> tuple[date, int]:
    """Return the newest date of the announcements, and how many have it."""
    days = [change.date for change in policy.changes]
    newest = max(days, default=date.min)
    return newest, days.count(newest)


def _drop_languages(languages: set[str], value: Any, above: str = "") -> Any:
    if isinstance(value, dict):
        # Only in texts, because the key "id" is also a language tag (Indonesian).
        dropped = languages if above in _TEXTS else ()
        return {key: _drop_languages(languages, item, key) for key, item in value.items() if key not in dropped}
    return [_drop_languages(languages, item) for item in value] if isinstance(value, list) else value


def _find_differences(before: Plain, after: Plain) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _name_parts(table: str, content: Any) -> Plain:
    """Return the parts of a table that are compared by themselves, by their titles."""
    if table in _PARTS:
        return {f'{_PARTS[table]} "{part.get("id") or part["name"]}"': part for part in content}
    if table == "changes":
        days = dict.fromkeys(change["date"] for change in content)
        return {table: {day: [change for change in content if change["date"] == day] for day in days}}
    return {_TITLES[table]: content} if table in _TITLES else {}


def _compare_parts(table: str, title: str, old: Plain | None, new: Plain | None) -> Iterator[PolicyChange]:
    purposes = _list_purposes(table, new)
    touched = tuple(dict.fromkeys([*_list_purposes(table, old), *purposes]))
    is_asked_for = table in ("purposes", "cookies", "recipients")
    wider = tuple(id_ for id_ in purposes if id_ != NECESSARY and is_asked_for)
    if old is None or new is None:
        place = f' {"to" if new else "from"} "{touched[0]}"' if table in ("cookies", "recipients") else ""
        yield PolicyChange(f"{title} {_describe(old, new)}{place}", wider or touched, bool(new and wider))
        return
    for place, what, is_more in _compare_values(old, new, is_text=table in ("wording", "changes")):
        concerned = touched
        if table == "signals":
            concerned = tuple(sorted({*(old[place] or ())} ^ {*(new[place] or ())}))
        elif place.startswith("purposes."):  # a service's override, which is never material
            concerned = (place.split(".")[1],)
        is_material = is_more and bool(wider)
        yield PolicyChange(f"{title}: {what}", wider if is_material else concerned, is_material)


def _list_purposes(table: str, part: Plain | None) -> list[str]:
    """Return the ids of the purposes of a part; of a purpose, its own id."""
    if part is None or table not in _PARTS:
        return []
    return [part["purpose"]] if "purpose" in part else [*part.get("purposes", [part["id"]])]


def _compare_values(
    before: Plain, after: Plain, above: str = "", *, is_text: bool = False
) -> Iterator[tuple[str, str, bool]]:
    """Yield the place of each change in a table and those in it, what changed, and whether it allows more."""
    is_override = above == "purposes."
    for key, old, new in _find_differences(before, after):
        place = f"{above}{key}"
        if is_override and _NO_OVERRIDE not in (old, new):
            old = old or _NO_OVERRIDE
            new = new or _NO_OVERRIDE
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _compare_values(old, new, f"{place}.", is_text=is_text or key in _TEXTS)
        elif is_text or is_override:
            yield place, f"{place} {_describe(old, new)}", False
        elif isinstance(old, list) and isinstance(new, list):
            yield from ((place, f"{place} {_show(key, item)} removed", False) for item in old if item not in new)
            # Of all that lists name, only an origin gets data.
            is_more = place == "origins"
            yield from ((place, f"{place} {_show(key, item)} added", is_more) for item in new if item not in old)
        else:
            yield place, f"{place} {_show(key, old)} -> {_show(key, new)}", _is_more(place, old, new)


def _is_more(key: str, before: Any, after: Any) -> bool:
    """Return whether a value allows more than before, such as a longer retention or a sale that there was not."""
    # No value means that nothing is kept, or only for the session. Any time is more.
    if key in ("retention", "duration"):
        return (after or 0) > (before or 0)
    # What moves to another purpose, or from a cookie to storage, serves that one from now on, so it is asked for there.
    return key in ("purpose", "kind") or (key in ("traces", "sells") and bool(after))


def _describe(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "reworded"


def _show(key: str, value: Any) -> str:
    if value in (None, ""):
        return "session" if key == "duration" else "not set"
    if key in ("retention", "duration") and isinstance(value, int):
        return written_duration(value)
    return json.dumps(value, ensure_ascii=False)
