"""Tests of purposes that sell: the signal has to refuse them, and their begin asks again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cookie_consent import PolicyError
from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import State
from cookie_consent.policy.diff import asks_again, compare, digests, widened
from tests.endpoints.test_do_not_sell import SELLS
from tests.support.asgi import policy
from tests.support.policies import NOW, consent_record


def test_start_of_sale_is_material_change_and_asks_again() -> None:
    new = policy(SELLS)
    old = policy(SELLS.replace("sells = true\n", ""))
    assert digests(old)["ads"] != digests(new)["ads"]
    assert digests(old)["media"] == digests(new)["media"]
    assert widened(old, new) == {"ads"}
    assert widened(new, old) == frozenset()
    assert asks_again(old, new) == {"ads": "who accepted"}
    ((begun,), (ended,)) = (compare(old, new), compare(new, old))
    assert (begun.what, begun.purposes, begun.material) == (
        'purpose "ads": sells false -> true',
        ("ads",),
        True,
    )
    assert (ended.what, ended.material) == ('purpose "ads": sells true -> false', False)
    accepted = consent_record(old, {"ads": State.GRANTED, "media": State.GRANTED})
    held = decide(replace(new, history=(old,)), accepted, frozenset(), NOW)
    assert (held.should_ask, held.purposes["ads"], held.purposes["media"]) == (True, False, True)


def test_gpc_refuses_sale_without_recipients() -> None:
    assert policy(SELLS).gpc_refuses == {"ads", "media"}
    assert policy(f'{SELLS}\n[signals]\ngpc = ["ads"]\n').gpc_refuses == {"ads"}


@pytest.mark.parametrize("signals", ['"ignore"', '["media"]', "[]"])
def test_policy_where_gpc_does_not_refuse_sale_does_not_load(signals: str) -> None:
    with pytest.raises(PolicyError, match='Sec-GPC has to refuse "ads"'):
        policy(f"{SELLS}\n[signals]\ngpc = {signals}\n")


def test_necessary_purpose_cannot_sell() -> None:
    text = SELLS.replace("[purposes.ads]", "[purposes.necessary]").replace('purpose = "ads"', 'purpose = "media"')
    with pytest.raises(PolicyError, match="a sale or sharing is never without consent"):
        policy(text)
