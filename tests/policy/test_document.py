"""Tests of restoring a policy from its document."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given

from cookie_consent import Policy, PolicyError
from cookie_consent.policy.declarations import Declarations
from tests.support.asgi import SITE, policy
from tests.support.policies import FULL_POLICY, full_policy_in
from tests.support.policy_strategies import policies

RULES = '\n[records]\nkeep = "10 days"\n[requests]\ndue = "2 days"\nkeep_address = "1 day"\nkeep = "5 days"\n'
COMPLETE = (
    SITE
    + RULES
    + '\n[signals]\ngpc = "ignore"\ndnt = ["media"]\n[[changes]]\ndate = 2026-11-25\ntext = { en = "A", ja = "い" }\n'
    + '[texts.en]\nbanner_title = "Well?"\n'
)


@pytest.mark.parametrize("text", [SITE, SITE + RULES, COMPLETE, FULL_POLICY])
def test_policy_is_restored_from_its_document(text: str) -> None:
    kept = policy(text)
    read = Policy.from_document(json.loads(json.dumps(kept.document())))
    assert (read.version, read.document()) == (kept.version, kept.document())
    assert all(getattr(read, part.name) == getattr(kept, part.name) for part in fields(Declarations))


def test_policy_in_other_languages_is_restored() -> None:
    kept = full_policy_in("sv", "ar")
    assert Policy.from_document(kept.document()).version == kept.version


@given(policies())
def test_any_policy_is_restored(kept: Policy) -> None:
    assert Policy.from_document(kept.document()).version == kept.version


@pytest.mark.parametrize(
    "changes",
    [
        {"site": None},
        {"site": {}},
        {"purposes": [{"id": "x"}]},
        {"cookies": [{"name": "a", "purpose": "nothing", "duration": 1}]},
        {"purposes": 1},
        {"changes": [{"date": "yesterday", "text": {}}]},
        {"site": {**policy(SITE).document()["site"], "updated": "yesterday"}},
        {"site": {**policy(SITE).document()["site"], "authority": "Commission"}},
        {"services": [{"id": "a", "path": "/a", "purposes": []}]},
        {"wording": {"en": {"a text that is gone": "x"}}},
        {"cookies": [{"name": "a", "purpose": "media", "duration": "long"}]},
    ],
)
def test_invalid_document_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        Policy.from_document({**policy().document(), **changes})


def test_document_without_wording_is_rejected() -> None:
    document = policy().document()
    del document["wording"]
    with pytest.raises(PolicyError, match="what was kept is no policy"):
        Policy.from_document(document)
