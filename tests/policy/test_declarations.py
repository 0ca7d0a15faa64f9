"""Tests of the declarations of a site."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from cookie_consent.policy.declarations import Declarations
from cookie_consent.policy.parts import RecordRules, RequestRules, SignalRules
from cookie_consent.policy.security import SecurityRules
from tests.support.policies import site


def test_declarations_are_empty_by_default() -> None:
    declared = Declarations(site=site())
    empty = [getattr(declared, part.name) for part in fields(Declarations)[1:]]
    assert empty == [
        (),
        (),
        (),
        (),
        (),
        (),
        SignalRules(),
        RecordRules(),
        RequestRules(),
        SecurityRules(),
        (),
        (),
        (),
        {},
    ]


def test_declarations_are_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        Declarations(site=site()).purposes = ()  # type: ignore[misc]
