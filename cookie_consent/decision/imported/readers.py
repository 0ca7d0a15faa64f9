"""Reads the cookies of other consent tools. A cookie is untrusted: whatever is unclear is not an answer.

Each reader takes the value of a cookie, with percent-encoding removed, and returns an `EarlierAnswer`, or None if the
value is not exactly as the tool writes it. No reader raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

LONGEST_VALUE = 4096
"""Bytes of a cookie with its name that browsers keep at most (RFC 6265bis section 5.6)."""
_MOST_NESTED = 64
"""Brackets in a value. It bounds the depth of the JSON, and no tool comes near it."""
_EARLIEST, _LATEST = 1_262_304_000, 253_402_300_799
"""From 2010 to 9999, in seconds since 1970."""


class EarlierAnswer(NamedTuple):
    """What a visitor answered to another tool.

    Args:
        states: name -> whether it was granted; None if that is unclear.
        others: whether all other names were granted; None if that is unknown.
        at: when, in seconds since 1970; None if the cookie does not say.
        revision: the revision of the text that was answered; 0 if the cookie names none.
    """

    states: Mapping[str, bool | None]
    others: bool | None = None
    at: int | None = None
    revision: int = 0

    def state(self, names: Iterable[str]) -> bool | None:
        """Return whether all of these names were granted: False if one was refused, None if that is unclear."""
        return agreed([self.states.get(name, self.others) for name in names])


def agreed(states: Collection[bool | None]) -> bool | None:
    """Return what several states say together: False if one was refused, True if all were granted, else None."""
    if False in states:
        return False
    return None if None in states else True


def read(tool: str, value: bytes) -> EarlierAnswer | None:
    """Read the value of a tool's cookie; return None if it is no clear answer.

    Args:
        tool: one of `policy.imports.TOOLS`.
        value: the value as the browser sent it.
    """
    if len(value) > LONGEST_VALUE:
        return None
    try:
        text = unquote_to_bytes(value).decode()
        return _READERS[tool](text)
    except (ValueError, OverflowError):  # UnicodeDecodeError and JSONDecodeError are of the first kind
        return None


def _vanilla_cookieconsent(text: str) -> EarlierAnswer | None:
    """Read a cookie of vanilla-cookieconsent 3: JSON with the accepted categories.

    A category with services counts as unclear, because the cookie lists only the accepted services. A service is named
    "category/service".

    Source: github.com/orestbida/cookieconsent, src/utils/cookies.js, `saveCookiePreferences` and `setCookie`;
    read on 2026-11-28.
    """
    data = _json_object(text)
    categories, services, revision = data["categories"], data.get("services", {}), data["revision"]
    at = _iso_time(data.get("lastConsentTimestamp", data["consentTimestamp"]))
    if at is None or type(revision) is not int or not _is_text_list(categories) or not isinstance(services, dict):
        return None
    states: dict[str, bool | None] = dict.fromkeys(categories, True)
    for category, accepted in services.items():
        if not _is_text_list(accepted):
            return None
        if accepted:
            states[category] = None
        states |= dict.fromkeys((f"{category}/{service}" for service in accepted), category in categories)
    return EarlierAnswer(states, others=False, at=at, revision=revision)


def _klaro(text: str) -> EarlierAnswer | None:
    """Read a cookie of klaro 0.7: JSON with one boolean for each service. It has no time.

    Source: github.com/klaro-org/klaro-js, src/consent-manager.js, `saveConsents`; read on 2026-11-28.
    """
    return EarlierAnswer(_booleans(_json_object(text)))


def _orejime(text: str) -> EarlierAnswer | None:
    """Read a cookie of orejime: "analytics=1;ads=0", or, in earlier versions, JSON with booleans. It has no time.

    Source: github.com/boscop-fr/orejime, src/core/CookieConsentsRepository.ts and src/core/utils/purposes.ts,
    `serializeConsents`; read on 2026-11-28.
    """
    if text.startswith("{"):
        return _klaro(text)
    return EarlierAnswer(_flags(text.split(";"), {"1": True, "0": False}))


def _tarteaucitron(text: str) -> EarlierAnswer | None:
    """Read a cookie of tarteaucitron: "!gtag=true!youtube=false!vimeo=wait". It has no time.

    Source: github.com/AmauriC/tarteaucitron.js, tarteaucitron.js, `addService` and `cookie.create`; read on 2026-11-28.
    """
    first, *pairs = text.split("!")
    return EarlierAnswer(_flags(pairs, {"true": True, "false": False, "wait": None})) if not first else None


def _osano(text: str) -> EarlierAnswer | None:
    """Read a cookie of Osano's open-source banner ("cookieconsent" 3). Its one answer is named "all". It has no time.

    "dismiss" closes the banner and answers nothing. The cookie of Osano's service is encrypted.

    Source: github.com/osano/cookieconsent, src/cookieconsent.js and src/constants/index.js; read on 2026-11-28.
    """
    return EarlierAnswer({"all": {"allow": True, "deny": False}[text]}) if text in ("allow", "deny") else None


_COOKIEBOT_FIELD = r"[A-Za-z0-9]{1,20}:(?:'[^']*'|true|false|-?[0-9]{1,15})"
_COOKIEBOT = re.compile(rf"\{{({_COOKIEBOT_FIELD}(?:,{_COOKIEBOT_FIELD})*)\}}")
_COOKIEBOT_PART = re.compile(r"([A-Za-z0-9]{1,20}):('[^']*'|[a-z0-9-]+)")
_COOKIEBOT_NAMES = ("preferences", "statistics", "marketing")


def _cookiebot(text: str) -> EarlierAnswer | None:
    """Read a cookie of Cookiebot: "{stamp:'…',necessary:true,preferences:false,…,method:'explicit',utc:…}".

    Only an explicit answer counts. A consent without a method is an old one, which Cookiebot takes as implied. "-1" is
    the cookie of visitors who were not asked because of where they are.

    Source: cookiebot.com/en/developer, `consent.method`; cookies that public repositories quote; read on 2026-11-28.
    """
    match = _COOKIEBOT.fullmatch(text)
    pairs = _COOKIEBOT_PART.findall(match[1]) if match else []
    fields = dict(pairs)
    if len(fields) < len(pairs) or fields.get("method") != "'explicit'":
        return None
    flags = {name: {"true": True, "false": False}.get(fields.get(name, "")) for name in _COOKIEBOT_NAMES}
    at = _milliseconds(fields.get("utc", ""))
    return None if at is None else EarlierAnswer(flags, at=at)


def _c15t(text: str) -> EarlierAnswer | None:
    """Read a cookie of c15t: "c.necessary:1,c.measurement:1,i.t:1764288000000,…". What is refused may be left out.

    Source: github.com/c15t/c15t, packages/core/src/libs/cookie/ serialization.ts, key-mapping.ts and storage.ts,
    `normalizeConsentData`; read on 2026-11-28.
    """
    pairs = [pair.partition(":") for pair in text.split(",")]
    fields = {key: value for key, _, value in pairs}
    at = _milliseconds(fields.get("i.t", ""))
    if at is None or len(fields) < len(pairs) or not all(colon for _, colon, _ in pairs):
        return None
    flags = {key.removeprefix("c."): value for key, value in fields.items() if key.startswith("c.")}
    states = {name: {"1": True, "0": False}.get(value) for name, value in flags.items()}
    return EarlierAnswer(states, others=False, at=at) if states else None


_READERS: Mapping[str, Callable[[str], EarlierAnswer | None]] = {
    "vanilla-cookieconsent": _vanilla_cookieconsent,
    "klaro": _klaro,
    "orejime": _orejime,
    "tarteaucitron": _tarteaucitron,
    "osano": _osano,
    "cookiebot": _cookiebot,
    "c15t": _c15t,
}


def _json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: it is none, is nested too deeply, or names a key twice.
    """
    if text.count("{") + text.count("[") > _MOST_NESTED:
        raise ValueError("too many brackets")
    data = json.loads(text, object_pairs_hook=_each_once)
    if not isinstance(data, dict):
        raise ValueError("this is no object")
    return _Required(data)


class _Required(dict[str, Any]):
    """A JSON object whose missing keys are errors of its content."""

    def __missing__(self, key: str) -> Any:
        raise ValueError(f"{key} is missing")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key is there twice")
    return data


def _booleans(data: Mapping[str, Any]) -> dict[str, bool | None]:
    return {name: value if isinstance(value, bool) else None for name, value in data.items()}


def _flags(pairs: Iterable[str], meanings: Mapping[str, bool | None]) -> dict[str, bool | None]:
    """Read pairs of a name and a flag. What is there twice, or has another flag, is unclear."""
    states: dict[str, bool | None] = {}
    for pair in pairs:
        name, _, flag = pair.partition("=")
        states[name] = None if name in states else meanings.get(flag)
    return states


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _iso_time(value: object) -> int | None:
    """Read a time as JavaScript's `toISOString` writes it."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z", value):
        return None
    return _plausible(datetime.fromisoformat(value).timestamp())


def _milliseconds(text: str) -> int | None:
    """Read a time in milliseconds since 1970."""
    return _plausible(int(text) / 1000) if re.fullmatch(r"[0-9]{1,15}", text) else None


def _plausible(seconds: float) -> int | None:
    return int(seconds) if _EARLIEST <= seconds <= _LATEST else None
