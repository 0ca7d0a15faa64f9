"""Tests of the rules against dark patterns, on measured values. Real pages are in tests/browser/test_testing.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cookie_consent.testing import assert_no_dark_patterns, dark_patterns

BUTTON = {
    "tag": "BUTTON", "disabled": False, "seen": True, "width": 120, "height": 44, "text": "rgb(255, 255, 255)",
    "fill": "rgb(42, 115, 194)", "looks": {"fontSize": "16px"},
}  # fmt: skip
FAIR = {
    "shown": True, "accept": [BUTTON], "refuse": [BUTTON], "ticked": [], "locked": False, "sideways": False,
}  # fmt: skip


class MeasuredPage:
    """A page with given measured values: one after the other, and then the last one."""

    def __init__(self, *measured: Any) -> None:
        self._found = list(measured)

    def evaluate(self, _: str) -> Any:
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


def with_refuse_button(**changes: Any) -> dict[str, Any]:
    measured = copy.deepcopy(FAIR)
    measured["refuse"] = [{**BUTTON, **changes}]
    return measured


def test_fair_banner_has_no_dark_patterns() -> None:
    assert dark_patterns(MeasuredPage(FAIR)) == []
    assert_no_dark_patterns(MeasuredPage(FAIR))


def test_banner_is_checked_once_it_is_shown() -> None:
    hidden = {**with_refuse_button(seen=False), "shown": False}
    assert dark_patterns(MeasuredPage(hidden, hidden, FAIR)) == []
    assert dark_patterns(MeasuredPage(hidden, None)) == ["The page does not ask."]


@pytest.mark.slow
def test_banner_that_is_never_shown_is_reported() -> None:
    hidden = {**with_refuse_button(seen=False), "shown": False}
    assert any("in view" in sentence for sentence in dark_patterns(MeasuredPage(hidden)))


@pytest.mark.requirement("UI-01", "UI-02", "UI-09")
@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (None, "does not ask"),
        ({**FAIR, "refuse": []}, "one that refuses all"),
        ({**FAIR, "accept": [BUTTON, BUTTON]}, "one button that accepts all"),
        ({**FAIR, "ticked": ["media"]}, "ticked"),
        ({**FAIR, "locked": True}, "cannot be scrolled"),
        ({**FAIR, "sideways": True}, "wider than the window"),
        (with_refuse_button(tag="A"), "have to be buttons"),
        (with_refuse_button(disabled=True), "can be pressed"),
        (with_refuse_button(seen=False), "in view"),
        (with_refuse_button(width=100), "a tenth larger"),
        (with_refuse_button(width=0, height=44), "a tenth larger"),
        (with_refuse_button(height=40, width=132), "44 px"),
        (with_refuse_button(looks={"fontSize": "12px"}), "differ in font"),
        (with_refuse_button(text="rgb(120, 160, 200)"), "hard to read"),
        (with_refuse_button(fill="rgb(20, 60, 120)"), "stands out"),
    ],
)
def test_dark_pattern_is_reported(measured: Any, message: str) -> None:
    assert any(message in sentence for sentence in dark_patterns(MeasuredPage(measured)))
    with pytest.raises(AssertionError, match=message):
        assert_no_dark_patterns(MeasuredPage(measured))
