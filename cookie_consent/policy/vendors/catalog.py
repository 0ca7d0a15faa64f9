"""What each vendor's tags can be told. A data file beside this module describes each vendor."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

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
    sources: tuple[str, ...]
    read_on: date
    note: str = ""
    hosts: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    any_signal: bool = False
    values: tuple[Any, ...] = ("granted", "denied")
    options: Mapping[str, Any] = field(default_factory=dict)
    stub: Mapping[str, Any] = field(default_factory=dict)
    default: Calls = field(default_factory=dict)
    update: Calls = field(default_factory=dict)
    gate_only: bool = False

    @property
    def has_signals(self) -> bool:
        """Whether it is told more than one thing."""
        return bool(self.signals) or self.any_signal


@cache
def vendors() -> Mapping[str, Vendor]:
    """Return the vendors that a policy can name, by their ids."""
    found = sorted(file.name for file in files(__package__).iterdir() if file.name.endswith(".toml"))
    return {name.removesuffix(".toml"): _read(name) for name in found}


def _read(name: str) -> Vendor:
    data: dict[str, Any] = tomllib.loads((files(__package__) / name).read_text(encoding="utf-8"))
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    return Vendor(**(data | lists))
