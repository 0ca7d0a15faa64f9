"""For a site's own tests: whether its banner, as themed, still is an honest question."""

from __future__ import annotations

import re
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
    accept: all("accept_all"), refuse: all("refuse_all"),
    ticked: [...banner.querySelectorAll("input:checked")].map((it) => it.value),
    locked: banner.tagName !== "DIALOG" && [document.body, document.documentElement]
      .some((it) => /hidden|clip/.test(getComputedStyle(it).overflowY)),
    sideways: document.documentElement.scrollWidth > innerWidth,
  };
}"""

Measured = Mapping[str, Any]


class Page(Protocol):
    """A page in a browser, like Playwright's (of its synchronous kind)."""

    def evaluate(self, expression: str, /) -> Any:
        """Return what an expression in the page returns."""
        ...


def dark_patterns(page: Page) -> list[str]:
    """Return what is wrong with the question that a page shows, as sentences; nothing where it is honest.

    What is looked at: that accepting and refusing are there once each, as buttons that are in view, alike in size and
    looks, and can be read; that nothing is ticked; that the page stays free and in its width. The rules are those of
    the EDPB's Cookie Banner Taskforce (17 January 2023, paragraphs 6 to 19) and of the CNIL (2020-092, section 34);
    the numbers are ours: a tenth for sizes, 4.5 : 1 and a difference of 1.5 for contrast, 44 px for height.

    Args:
        page: a page of the site that asks.
    """
    found = page.evaluate(_MEASURE)
    if found is None:
        return ["The page does not ask."]
    wrong = [sentence for sentence, is_so in _OF_THE_PAGE.items() if is_so(found)]
    if wrong:
        return wrong
    accept, refuse = found["accept"][0], found["refuse"][0]
    return [sentence for sentence, is_so in _OF_BOTH.items() if is_so(accept, refuse)]


def assert_no_dark_patterns(page: Page) -> None:
    """Raise an AssertionError that says what is wrong with the question of a page; see `dark_patterns`."""
    wrong = dark_patterns(page)
    if wrong:
        raise AssertionError(" ".join(wrong))


def _area(button: Measured) -> float:
    return float(button["width"] * button["height"])


def _contrast(button: Measured) -> float:
    """Return the contrast of a button's text (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted(_luminance(button[key]) for key in ("text", "fill"))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in re.findall(r"[0-9.]+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_OF_THE_PAGE: dict[str, Callable[[Measured], bool]] = {
    "There has to be one button that accepts all, and one that refuses all.": lambda found: (
        [len(found["accept"]), len(found["refuse"])] != [1, 1]
    ),
    "A purpose is ticked before anybody did so.": lambda found: bool(found["ticked"]),
    "The page cannot be scrolled while the question stands.": lambda found: found["locked"],
    "The page is wider than the window.": lambda found: found["sideways"],
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
