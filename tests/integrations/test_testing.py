"""The rules for an honest question, on what was measured in a page. Real pages are in tests/browser/test_testing.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cookie_consent.testing import assert_no_dark_patterns, dark_patterns

BUTTON = {
    "tag": "BUTTON", "disabled": False, "seen": True, "width": 120, "height": 44, "text": "rgb(255, 255, 255)",
    "fill": "rgb(42, 115, 194)", "looks": {"fontSize": "16px"},
}  # fmt: skip
HONEST = {"accept": [BUTTON], "refuse": [BUTTON], "ticked": [], "locked": False, "sideways": False}


class Measured:
    """A page in which this was measured."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def evaluate(self, _: str) -> Any:
        return self._found


def refusing_with(**changes: Any) -> dict[str, Any]:
    found = copy.deepcopy(HONEST)
    found["refuse"] = [{**BUTTON, **changes}]
    return found


def test_an_honest_question_has_nothing_wrong() -> None:
    assert dark_patterns(Measured(HONEST)) == []
    assert_no_dark_patterns(Measured(HONEST))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "does not ask"),
        ({**HONEST, "refuse": []}, "one that refuses all"),
        ({**HONEST, "accept": [BUTTON, BUTTON]}, "one button that accepts all"),
        ({**HONEST, "ticked": ["media"]}, "ticked"),
        ({**HONEST, "locked": True}, "cannot be scrolled"),
        ({**HONEST, "sideways": True}, "wider than the window"),
        (refusing_with(tag="A"), "have to be buttons"),
        (refusing_with(disabled=True), "can be pressed"),
        (refusing_with(seen=False), "in view"),
        (refusing_with(width=100), "a tenth larger"),
        (refusing_with(width=0, height=44), "a tenth larger"),
        (refusing_with(height=40, width=132), "44 px"),
        (refusing_with(looks={"fontSize": "12px"}), "differ in font"),
        (refusing_with(text="rgb(120, 160, 200)"), "hard to read"),
        (refusing_with(fill="rgb(20, 60, 120)"), "stands out"),
    ],
)
def test_what_is_wrong_is_said(found: Any, said: str) -> None:
    assert any(said in sentence for sentence in dark_patterns(Measured(found)))
    with pytest.raises(AssertionError, match=said):
        assert_no_dark_patterns(Measured(found))
