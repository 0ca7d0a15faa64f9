"""Checks that a site's banner, as styled by the site, has no dark patterns."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

_MEASURE = """() => {
  const seen = (it) => {
    const box = it.getBoundingClientRect();
    const over = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return !!over && it.contains(over);
  };
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if (!/, 0[)]$|^transparent$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const button = (it) => {
    const { width, height } = it.getBoundingClientRect(), style = getComputedStyle(it);
    const names = ["fontSize", "fontWeight", "fontFamily", "borderTopWidth", "paddingTop", "textTransform", "opacity"];
    return {
      tag: it.tagName, disabled: it.disabled, seen: seen(it), width, height, text: style.color, fill: behind(it),
      looks: Object.fromEntries(names.map((name) => [name, style[name]])),
    };
  };
  const banner = document.querySelector(".pchoice");
  if (!banner) return null;
  const all = (choice) => [...banner.querySelectorAll(`[value=${choice}]`)].map(button);
  return {
    shown: banner.getClientRects().length > 0,
    accept: all("accept_all"), refuse: all("refuse_all"),
    ticked: [...banner.querySelectorAll("input:checked")].map((it) => it.value),
    locked: banner.tagName !== "DIALOG" && [document.body, document.documentElement]
      .some((it) => /hidden|clip/.test(getComputedStyle(it).overflowY)),
    sideways: document.documentElement.scrollWidth > innerWidth,
  };
}"""

Measured = Mapping[str, Any]
_LONGEST = 1.0
"""Seconds that a banner may take until it is shown: it comes one frame after the page, or with its stylesheet."""
_POLL = 0.02


class Page(Protocol):
    """A page in a browser, such as a page of Playwright's synchronous API."""

    def evaluate(self, expression: str, /) -> Any:
        """Evaluate a JavaScript expression in the page and return its result."""
        ...


def dark_patterns(page: Page) -> list[str]:
    """Return the dark patterns of a page's banner as sentences; an empty list if there are none.

    It waits up to a second until the banner is shown, and then checks that

    - there is one button to accept and one to refuse, both in view without scrolling;
    - the two buttons are alike in size, font and contrast, and readable;
    - no purpose is ticked in advance;
    - the page can be scrolled and is not wider than the window.

    The rules are those of the EDPB's Cookie Banner Taskforce (17 January 2023, paragraphs 6 to 19) and of the CNIL
    (2020-092, section 34). The thresholds are our own: a tenth in size, a contrast of 4.5 : 1 and a difference in
    contrast of at most 1.5, and a height of 44 px.

    Args:
        page: a page of the site that shows the banner.
    """
    measured = _measured(page)
    if measured is None:
        return ["The page does not ask."]
    wrong = [sentence for sentence, applies in _OF_THE_PAGE.items() if applies(measured)]
    # Without exactly one button of each kind there is nothing to compare.
    if wrong:
        return wrong
    accept, refuse = measured["accept"][0], measured["refuse"][0]
    return [sentence for sentence, applies in _OF_BOTH.items() if applies(accept, refuse)]


def assert_no_dark_patterns(page: Page) -> None:
    """Assert that a page's banner has no dark patterns; see `dark_patterns`.

    Args:
        page: a page of the site that shows the banner.

    Raises:
        AssertionError: it has some. The message lists them.
    """
    wrong = dark_patterns(page)
    if wrong:
        raise AssertionError(" ".join(wrong))


def _measured(page: Page) -> Measured | None:
    """Measure the banner once it is shown, or when the time is over; return None if there is none."""
    end = time.monotonic() + _LONGEST
    while True:
        # Polled from here: in a page that may not run scripts, timers do not run either.
        measured: Measured | None = page.evaluate(_MEASURE)
        if measured is None or measured["shown"] or time.monotonic() > end:
            return measured
        time.sleep(_POLL)


def _area(button: Measured) -> float:
    return float(button["width"] * button["height"])


def _contrast(button: Measured) -> float:
    """Return the contrast ratio of a button's text (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted(_luminance(button[key]) for key in ("text", "fill"))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    # From sRGB to linear light (WCAG 2.2, "relative luminance").
    parts = [float(part) / 255 for part in re.findall(r"[0-9.]+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_OF_THE_PAGE: dict[str, Callable[[Measured], bool]] = {
    "There has to be one button that accepts all, and one that refuses all.": lambda measured: (
        [len(measured["accept"]), len(measured["refuse"])] != [1, 1]
    ),
    "A purpose is ticked before anybody did so.": lambda measured: bool(measured["ticked"]),
    "The page cannot be scrolled while the question stands.": lambda measured: measured["locked"],
    "The page is wider than the window.": lambda measured: measured["sideways"],
}
_OF_BOTH: dict[str, Callable[[Measured, Measured], bool]] = {
    "Accepting and refusing have to be buttons that can be pressed.": lambda accept, refuse: any(
        each["tag"] != "BUTTON" or each["disabled"] for each in (accept, refuse)
    ),
    "Accepting and refusing have to be in view without scrolling.": lambda accept, refuse: (
        not (accept["seen"] and refuse["seen"])
    ),
    "One answer is more than a tenth larger than the other.": lambda accept, refuse: (
        not 0.9 <= _area(accept) / max(_area(refuse), 1) <= 1.1
    ),
    "An answer is less than 44 px high.": lambda accept, refuse: min(accept["height"], refuse["height"]) < 44,
    "The two answers differ in font, border, padding or opacity.": lambda accept, refuse: (
        accept["looks"] != refuse["looks"]
    ),
    "An answer is hard to read (4.5 : 1 at least).": lambda accept, refuse: (
        min(_contrast(accept), _contrast(refuse)) < 4.5
    ),
    "One answer stands out by its contrast.": lambda accept, refuse: abs(_contrast(accept) - _contrast(refuse)) > 1.5,
}
