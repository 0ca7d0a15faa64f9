"""Vendors: what tags can be told (`vendors.toml`), which purposes allow it, and whose cookies are known."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from cookie_consent.policy.errors import Row, did_you_mean
from cookie_consent.policy.parts import NECESSARY, CheckedPart, Recipient

_LONGEST_WAIT = 10_000
_OPTION_KINDS: Mapping[str | None, tuple[Callable[[Any], bool], str]] = {
    "boolean": (lambda value: isinstance(value, bool), "Write true or false, without quotes."),
    "milliseconds": (
        lambda value: type(value) is int and 0 < value <= _LONGEST_WAIT,
        f"Write a number of milliseconds up to {_LONGEST_WAIT}, as in 500.",
    ),
    None: (lambda _: False, "Leave it out."),
}
"""Kind of an option, but a list of words -> whether a value is right, and the remedy. None: there is no such option."""

Calls = Mapping[str, Any]
"""When to call ("always", "granted", "denied") -> calls, each as [function, argument, ...].

The argument "$signals" stands for each signal and its value. "$stamp PATH" is a middleware that writes them into each
event. In `default`, "if_option" has calls for options that are true.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A vendor whose tags are told what the visitor allows, or are only loaded once it is allowed.

    Args:
        name: its name.
        sources: the pages that describe the calls.
        read_on: when they were read.
        note: what a site has to know of them.
        hosts: the hosts that its tags talk to; () if sites host it themselves.
        signals: what is told, for vendors that are told more than one thing.
        any_signal: whether sites name the signals themselves.
        values: what a signal is, granted and denied.
        options: name -> what it may be: "boolean", "milliseconds", or a list of words.
        stub: the function or array that keeps calls until the vendor's script runs. It loads nothing.
        default: the calls before any tag.
        update: the calls for each change.
        gate_only: whether there are no calls, so that the tag itself has to wait.
    """

    name: str
    sources: Sequence[str]
    read_on: date
    note: str = ""
    hosts: Sequence[str] = ()
    signals: Sequence[str] = ()
    any_signal: bool = False
    values: Sequence[Any] = ("granted", "denied")
    options: Mapping[str, Any] = field(default_factory=dict)
    stub: Mapping[str, Any] = field(default_factory=dict)
    default: Calls = field(default_factory=dict)
    update: Calls = field(default_factory=dict)
    gate_only: bool = False


@cache
def vendors() -> Mapping[str, Vendor]:
    """Return the vendors that a policy can name, by their ids."""
    data: dict[str, dict[str, Any]] = tomllib.loads((files(__package__) / "vendors.toml").read_text(encoding="utf-8"))
    return {id_: Vendor(**row) for id_, row in data.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMapping(CheckedPart):
    """One vendor that a site uses, and the purposes that its signals go by.

    Args:
        id: the vendor's id in the catalog.
        purposes: signal -> the id of its purpose. A vendor that is told one thing has the signal "".
        options: option -> its value.

    Raises:
        PolicyError: there is no such vendor, signal or option, or a value is not valid.
    """

    id: str
    purposes: Mapping[str, str]
    options: Mapping[str, bool | int | str] = field(default_factory=dict)

    def _rows(self) -> Iterator[Row]:
        if self.id not in vendors():
            yield True, self.id, f'there is no vendor "{self.id}"', did_you_mean(self.id, vendors())
            return
        vendor = self.vendor
        needs_signals = vendor.signals or vendor.any_signal
        yield from (
            (
                not needs_signals and set(self.purposes) != {""},
                self.id,
                f"{vendor.name} goes by one purpose",
                f'Write it as in {self.id} = "ads".',
            ),
            (
                needs_signals and (not self.purposes or "" in self.purposes),
                self.id,
                f"{vendor.name} has signals of its own",
                f'Write which goes by which purpose: {{ {(*vendor.signals, "Advertising")[0]} = "ads" }}.',
            ),
            (
                "wait_for_update" in self.options and self.options.get("mode") != "advanced",
                self.id,
                "in basic mode no tag runs before the answer, so none can wait",
                'Leave wait_for_update out, or write mode = "advanced".',
            ),
        )
        for signal, purpose in self.purposes.items():
            yield from (
                (
                    signal and not vendor.any_signal and signal not in vendor.signals,
                    self.id,
                    f'{vendor.name} has no signal "{signal}"',
                    did_you_mean(signal, [*vendor.signals, *vendor.options]),
                ),
                (not isinstance(purpose, str), self.id, f"{purpose!r} is no purpose", 'Write it as in "ads".'),
            )
        for name, value in self.options.items():
            kind = vendor.options.get(name)
            if isinstance(kind, list):
                is_valid = value in kind
                remedy = did_you_mean(str(value), kind)
            else:
                check, remedy = _OPTION_KINDS[kind]
                is_valid = check(value)
            yield not is_valid, self.id, f"{value!r} is not valid for {name}", remedy

    @property
    def vendor(self) -> Vendor:
        """What the catalog says of the vendor."""
        return vendors()[self.id]

    def recipients(self, declared: Iterable[Recipient], purpose: str) -> list[Recipient]:
        """Return those of the declared recipients of a purpose that are the vendor, by the hosts of their origins."""
        return [
            recipient
            for recipient in declared
            if recipient.purpose == purpose and any(map(self._is_vendors, recipient.origins))
        ]

    def _is_vendors(self, origin: str) -> bool:
        host = urlsplit(origin).hostname or ""
        return any(host == known or host.endswith(f".{known}") for known in self.vendor.hosts)


def vendor_advice(mappings: Iterable[VendorMapping], recipients: Iterable[Recipient]) -> Iterator[str]:
    """Yield a sentence for each vendor of which visitors do not read, or which gets data before an answer."""
    declared = [*recipients]
    for mapping in mappings:
        hosts = mapping.vendor.hosts
        if mapping.options.get("mode") == "advanced":
            yield f"[vendors] {mapping.id}: in advanced mode, tags send data about the visit before there is an answer."
        for purpose in dict.fromkeys(mapping.purposes.values()):
            if hosts and purpose != NECESSARY and not mapping.recipients(declared, purpose):
                yield (
                    f'[vendors] {mapping.id} goes by "{purpose}", but no recipient with that purpose has an origin at '
                    f"{hosts[0]}: visitors do not read of {mapping.vendor.name}. Declare it in [[recipients]]."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCookie:
    """A cookie that a vendor's tags set on a site's own host.

    Args:
        name: its name, in which * stands for any characters.
        vendor: who gets data by it.
        purpose: what it is usually for.
        known_as: words of which a recipient's name or origins have one if it is the vendor.
        self_hosted: whether sites may run it themselves, so that nobody else gets data.
    """

    name: str
    vendor: str
    purpose: str
    known_as: tuple[str, ...]
    self_hosted: bool

    def is_of(self, recipients: Iterable[Recipient]) -> bool:
        """Return whether the vendor is one of the recipients."""
        said = [" ".join([recipient.name, *recipient.origins]).lower() for recipient in recipients]
        return any(word in text for word in self.known_as for text in said)


@cache
def _known_cookies() -> tuple[KnownCookie, ...]:
    """Return all of them, the longest name first."""
    data = tomllib.loads((files(__package__) / "known_cookies.toml").read_text(encoding="utf-8"))
    known = (
        KnownCookie(
            name=name,
            vendor=vendor,
            purpose=purpose,
            known_as=(vendor.lower(), *row.get("known_as", ())),
            self_hosted=row.get("self_hosted", False),
        )
        for vendor, row in data.items()
        for purpose in ("analytics", "ads")
        for name in row.get(purpose, ())
    )
    return tuple(sorted(known, key=lambda cookie: len(cookie.name), reverse=True))


def known_cookie(name: str) -> KnownCookie | None:
    """Return whose a cookie of this name usually is; None if no table says."""
    return next((cookie for cookie in _known_cookies() if fnmatchcase(name, cookie.name)), None)
