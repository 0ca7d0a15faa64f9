"""Reads a policy from the plain data that `Policy.document` returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, TypeVar

from cookie_consent.policy.declarations import Declarations
from cookie_consent.policy.parts import (
    Authority,
    Change,
    Cookie,
    Feature,
    Purpose,
    Recipient,
    RecordRules,
    RequestRules,
    Service,
    ServicePurpose,
    SignalRules,
    Site,
)
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.vendors import VendorMapping

Part = TypeVar("Part")
_DURATIONS = ("retention", "duration", "due", "keep", "keep_address")


def declarations(document: Mapping[str, Any]) -> Declarations:
    """Return the declarations of a policy that `Policy.document` wrote.

    Raises:
        PolicyError: a part is not valid to this version of the package.
        TypeError: a key is missing or unknown.
        KeyError: a key is missing.
        ValueError: a value cannot be read.
    """
    parts = {name: make(document[name]) for name, make in _PARTS.items()}
    return Declarations(**parts, wording=document["wording"])


def _one(kind: Callable[..., Part]) -> Callable[[Mapping[str, Any]], Part]:
    def make(data: Mapping[str, Any]) -> Part:
        values = dict(data)
        for name in _DURATIONS:
            if values.get(name) is not None:
                values[name] = timedelta(seconds=values[name])
        return kind(**values)

    return make


def _several(kind: Callable[..., Part]) -> Callable[[list[Mapping[str, Any]]], tuple[Part, ...]]:
    make = _one(kind)
    return lambda data: tuple(make(item) for item in data)


def _change(**data: Any) -> Change:
    return Change(**{**data, "date": date.fromisoformat(data["date"])})


def _site(**data: Any) -> Site:
    if data.get("updated"):
        data["updated"] = date.fromisoformat(data["updated"])
    if data.get("authority"):
        data["authority"] = Authority(**data["authority"])
    return Site(**data)


def _service(**data: Any) -> Service:
    make = _one(ServicePurpose)
    return Service(**{**data, "purposes": {id_: make(override) for id_, override in data["purposes"].items()}})


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "site": _one(_site),
    "purposes": _several(Purpose),
    "cookies": _several(Cookie),
    "recipients": _several(Recipient),
    "features": _several(Feature),
    "services": _several(_service),
    "changes": _several(_change),
    "signals": _one(SignalRules),
    "records": _one(RecordRules),
    "requests": _one(RequestRules),
    "security": _one(SecurityRules),
    "vendors": _several(VendorMapping),
}
