"""SVG charts that fit any width.

Positions along a chart are percentages, so letters keep their size. The title and the description of a chart say what
it shows. Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cookie_consent.report.figures import Kind
from cookie_consent.report.page.formatting import FORMATS, percent, tick

PATTERNS = Markup(
    '<svg class="unseen" aria-hidden="true" focusable="false" width="0" height="0"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="paper" width="6" height="6"/><rect class="solid" width="3" height="6"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect class="paper" width="5" height="5"/><circle class="strong" cx="2.5" cy="2.5" r="1.5"/></pattern>'
    "</defs></svg>"
)
"""Fill patterns for hatched and dotted areas, which tell areas apart without colour. Include them once in a page."""


_HEIGHT = 180
_AXIS = 24
"""Space below the columns for the labels (px)."""
_MAX_LABELS = 6
"""Labels along an axis: as many as fit on a phone."""
_MAX_SPACED_COLUMNS = 130
"""Up to this many columns have gaps between them and show their numbers on hover. More are too narrow for both."""
_MAX_POINTS = 62
_LEAST: Mapping[str, float] = {"count": 1, "percent": 0.01}
"""Kind of number -> the smallest step of its axis. What is counted comes in whole numbers."""
_TICKS: Mapping[str, Callable[[float], str]] = {"count": tick, "percent": percent}
_GAPS = {"solid": 0.2, "outline": 0.08}
"""The gap on each side of a column, as a share of its width. An outline is wider than the solid column inside it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers along an axis.

    Args:
        name: its name in the legend.
        kind: how it is drawn: "solid" columns, an "outline" of columns, or a "line".
        values: the numbers; None where one is missing.
    """

    name: str
    kind: str
    values: Sequence[float | None]


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: its name.
        content: texts and child elements.
        attributes: SVG attributes. "_" stands for "-"; a final "_", as in `class_`, is dropped. Numbers are rounded to
            two decimals.
    """
    written_attributes = Markup().join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), short(value) if isinstance(value, int | float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written_attributes, Markup().join(content))


def timeline(
    ident: str,
    title: str,
    labels: Sequence[str],
    names: Sequence[str],
    series: Sequence[Series],
    kind: Kind,
) -> Markup:
    """Return columns and lines along an axis, as wide as their container.

    Args:
        ident: its id, unique in the page.
        title: what it shows.
        labels: a short label for each place on the axis.
        names: the full name of each place.
        series: the series from back to front, each as long as `labels`.
        kind: what the numbers are: "count" or "percent".
    """
    shown = FORMATS[kind]
    largest = max((value or 0 for each in series for value in each.values), default=0)
    top, ticks = _choose_scale(largest, _LEAST[kind])
    width = in_percent(1 / len(labels)) if labels else ""
    # The columns stretch with the width; strokes and points do not.
    plot = element(
        "svg",
        *(_draw_series(each, top) for each in series),
        viewBox=f"0 0 {len(labels)} 100",
        preserveAspectRatio="none",
        width="100%",
        height=_HEIGHT,
        overflow="visible",
    )
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", _describe(names, series, shown), id=f"{ident}-desc"),
        *(_draw_gridline(value, top, _TICKS[kind](value)) for value in ticks),
        *(
            element("rect", x=in_percent(place / len(labels)), width=width, height=_HEIGHT, class_="gap")
            for place in find_gaps(series, kind)
        ),
        plot,
        *_draw_labels(labels),
        *_draw_hints(names, series, shown),
        class_="chart",
        role="img",
        aria_labelledby=f"{ident}-title",
        aria_describedby=f"{ident}-desc",
        width="100%",
        height=_HEIGHT + _AXIS,
        direction="ltr",
    )


def strip(parts: Sequence[tuple[str, float]]) -> Markup:
    """Return a bar of several parts: the style of each, and its share of 1. Screen readers skip it."""
    drawn = [element("rect", width="100%", height="100%", class_="track")]
    x = 0.0
    for style, share in parts:
        if share > 0:
            drawn.append(
                element("rect", x=in_percent(x), width=in_percent(share), height="100%", class_=f"part {style}")
            )
        x += share
    return element("svg", *drawn, class_="strip", width="100%", height=10, aria_hidden="true", focusable="false")


def ray(share: float) -> Markup:
    """Return a faint bar that fills a share of what it lies behind."""
    bar = element("rect", width=in_percent(share), height="100%", class_="track")
    return element("svg", bar, class_="ray", width="100%", height="100%", aria_hidden="true", focusable="false")


def swatch(kind: str) -> Markup:
    """Return a sample of a drawing style, for a legend."""
    if kind == "line":
        drawn = element("path", d="M0 7h16", class_="line")
    else:
        drawn = element("rect", x=1, y=2, width=14, height=10, class_=kind)
    return element("svg", drawn, class_="swatch", width=16, height=14, aria_hidden="true", focusable="false")


def find_gaps(series: Sequence[Series], kind: Kind) -> list[int]:
    """Return the places without any count: what is not known is not 0. A share of nothing is neither."""
    if kind != "count":
        return []
    places = enumerate(zip(*(each.values for each in series), strict=True))
    return [place for place, values in places if all(value is None for value in values)]


def short(value: object) -> str:
    """Format a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def in_percent(share: float) -> str:
    """Format a share of 1 as a percentage of the parent's size."""
    return f"{share * 100:.3f}%"


def _choose_scale(largest: float, least: float) -> tuple[float, list[float]]:
    """Return the top value of an axis, and the round values to mark on it: at most five, with 0."""
    if largest <= 0:
        return least, [0]
    power = 10 ** math.floor(math.log10(max(largest / 4, least)))
    step = next(size * power for size in (1, 2, 5, 10) if size * power * 4 >= largest)
    marks = math.ceil(largest / step)
    return step * marks, [step * number for number in range(marks + 1)]


def _draw_gridline(value: float, top: float, said: str) -> Markup:
    y = _HEIGHT * (1 - value / top)
    line = element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if value else "ground")
    return line + element("text", said, x=-8, y=y + 4, text_anchor="end", class_="scale")


def _draw_series(series: Series, top: float) -> Markup:
    heights = [None if value is None else 100 - 100 * value / top for value in series.values]
    return _draw_line(heights) if series.kind == "line" else _draw_columns(heights, series.kind)


def _draw_columns(heights: Sequence[float | None], kind: str) -> Markup:
    gap = _GAPS[kind] if len(heights) <= _MAX_SPACED_COLUMNS else 0
    path = "".join(
        f"M{short(place + gap)} 100V{short(y)}H{short(place + 1 - gap)}V100Z"
        for place, y in enumerate(heights)
        # A column of height 0 would still draw its outline.
        if y is not None and y < 100
    )
    return _draw_path(path, kind)


def _draw_line(heights: Sequence[float | None]) -> Markup:
    """Return a line with its points. It is broken where a number is missing."""
    path = ""
    dots = []
    is_missing = True
    for place, y in enumerate(heights):
        if y is not None:
            point = f"{short(place + 0.5)} {short(y)}"
            path += f"{'M' if is_missing else 'L'}{point}"
            # A zero-length path with round caps draws a point, and stays round however the chart is stretched.
            dots.append(f"M{point}h0")
        is_missing = y is None
    return _draw_path(path, "line") + _draw_path("".join(dots) if len(dots) <= _MAX_POINTS else "", "points")


def _draw_path(path: str, kind: str) -> Markup:
    return element("path", d=path, class_=kind, vector_effect="non-scaling-stroke") if path else Markup()


def _draw_labels(labels: Sequence[str]) -> Iterable[Markup]:
    for place in range(0, len(labels), max(math.ceil(len(labels) / _MAX_LABELS), 1)):
        x = in_percent((place + 0.5) / len(labels))
        yield element("text", labels[place], x=x, y=_HEIGHT + 18, text_anchor="middle", class_="scale")


def _draw_hints(
    names: Sequence[str], series: Sequence[Series], shown: Callable[[float | None], str]
) -> Iterable[Markup]:
    if len(names) > _MAX_SPACED_COLUMNS:
        return
    for place, name in enumerate(names):
        numbers = ", ".join(f"{each.name.lower()} {shown(each.values[place])}" for each in reversed(series))
        yield element(
            "rect",
            element("title", f"{name}: {numbers}"),
            x=in_percent(place / len(names)),
            width=in_percent(1 / len(names)),
            height=_HEIGHT,
            class_="hover",
        )


def _describe(names: Sequence[str], series: Sequence[Series], shown: Callable[[float | None], str]) -> str:
    """Describe a chart in words: the peak of each series, and when it was."""
    peaks = []
    for each in reversed(series):
        values = [value or 0 for value in each.values]
        most = max(values)
        peaks.append(f"{each.name}: at most {shown(most)}, {names[values.index(most)]}")
    return f"{'; '.join(peaks)}. The table below has all numbers."
