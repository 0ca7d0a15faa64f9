"""SVG charts that fit any width.

Positions along a chart are percentages, so letters keep their size. The title and the description of a chart say what
it shows. Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cookie_consent.report.page.formatting import count, shortened, tick

PATTERNS = Markup(
    '<svg class="unseen" aria-hidden="true" focusable="false" width="0" height="0"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="paper" width="6" height="6"/><rect class="solid" width="3" height="6"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect class="paper" width="5" height="5"/><circle class="strong" cx="2.5" cy="2.5" r="1.5"/></pattern>'
    "</defs></svg>"
)
"""Fill patterns for hatched and dotted areas, which tell areas apart without colour. Include them once in a page."""


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: its name.
        content: texts and child elements.
        attributes: SVG attributes. "_" stands for "-"; a final "_", as in `class_`, is dropped. Numbers are rounded to
            two decimals.
    """
    written_attributes = Markup().join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), short(value) if _is_number(value) else value)
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written_attributes, Markup().join(content))


def picture(ident: str, title: str, description: str, content: Iterable[Markup], *, height: float, kind: str) -> Markup:
    """Return an `svg` element that is as wide as its container.

    Args:
        ident: its id, unique in the page.
        title: what it shows.
        description: the same in words, for people who cannot see it.
        content: its child elements.
        height: its height in px.
        kind: its class.
    """
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        *content,
        class_=kind,
        role="img",
        aria_labelledby=f"{ident}-title",
        aria_describedby=f"{ident}-desc",
        width="100%",
        height=height,
        direction="ltr",
    )


def short(value: object) -> str:
    """Format a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def in_percent(share: float) -> str:
    """Format a share of 1 as a percentage of the parent's size."""
    return f"{share * 100:.3f}%"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


MARKS = ("dot", "ring", "bar")
"""The kinds of marks on a line."""
_HEIGHT = 180
_AXIS = 24
"""Space below the columns for the labels (px)."""
_ROW, _BASELINE, _TOP, _BAR = 44, 15, 23, 10
"""A row of bars: its height, the baseline of its text, the top of its bar, and the height of the bar (px)."""
_MAX_LABELS = 6
"""Labels along an axis: as many as fit on a phone."""
_MAX_SPACED_COLUMNS = 130
"""Up to this many columns have gaps between them and show their numbers on hover. More are too narrow for both."""
_MAX_POINTS = 62
_LONGEST_LABEL = 90
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


@dataclass(frozen=True, slots=True)
class Row:
    """A row of bars, or of marks.

    Args:
        label: its name.
        said: its number, formatted.
        parts: for a bar, the kind and the length of each part; for marks, the kind and the position of each. Lengths
            and positions are shares of 1.
        before: the length of the bar of an earlier period; None for none.
    """

    label: str
    said: str
    parts: Sequence[tuple[str, float]]
    before: float | None = None


def timeline(
    ident: str,
    title: str,
    description: str,
    labels: Sequence[str],
    series: Sequence[Series],
    names: Sequence[str] | None = None,
) -> Markup:
    """Return columns and lines along an axis.

    Args:
        ident: its id, unique in the page.
        title: what it shows.
        description: the same in words, for people who cannot see it.
        labels: a short label for each place on the axis.
        series: the series from back to front, each as long as `labels`.
        names: the full name of each place; None if labels are.
    """
    top, ticks = _scale(max((value or 0 for one in series for value in one.values), default=0))
    # The columns stretch with the width; strokes and points do not.
    plot = element(
        "svg",
        *(_drawn(one, top) for one in series),
        viewBox=f"0 0 {len(labels)} 100",
        preserveAspectRatio="none",
        width="100%",
        height=_HEIGHT,
        overflow="visible",
    )
    grid = (_gridline(value, top) for value in ticks)
    hovered = _hovered(names or labels, series) if len(labels) <= _MAX_SPACED_COLUMNS else ()
    content = [*grid, plot, *_along(labels), *hovered]
    return picture(ident, title, description, content, height=_HEIGHT + _AXIS, kind="chart with-axis")


def bars(ident: str, title: str, description: str, rows: Sequence[Row]) -> Markup:
    """Return one bar for each row, in one part or several. The other arguments are those of `timeline`."""
    return picture(ident, title, description, _rows(rows, _bar), height=len(rows) * _ROW, kind="chart")


def spans(
    ident: str, title: str, description: str, rows: Sequence[Row], ticks: Sequence[tuple[float, str]] = ()
) -> Markup:
    """Return one line for each row, from its first to its last mark.

    Args:
        ident: as for `timeline`; so are `title` and `description`.
        title: what it shows.
        description: the same in words.
        rows: the rows.
        ticks: places on the scale, as shares of 1, and what to write there.
    """
    height = len(rows) * _ROW
    scale = Markup().join(_tick(place, text, height) for place, text in ticks)
    content = [scale, *_rows(rows, _span)]
    return picture(ident, title, description, content, height=height + _AXIS, kind="chart with-scale")


def meter(share: float) -> Markup:
    """Return a bar that is filled to a share of 1. Screen readers skip it, so put a sentence beside it."""
    parts = _bar([("solid", min(share, 1))], top=0)
    return element("svg", parts, class_="meter", width="100%", height=_BAR, aria_hidden="true", focusable="false")


def ray(share: float) -> Markup:
    """Return a faint bar that fills a share of what it lies behind."""
    bar = element("rect", width=in_percent(share), height="100%", class_="track")
    return element("svg", bar, class_="ray", width="100%", height="100%", aria_hidden="true", focusable="false")


def swatch(kind: str) -> Markup:
    """Return a sample of a drawing style, for a legend."""
    if kind == "line":
        drawn = element("path", d="M0 7h16", class_="line")
    elif kind in MARKS:
        drawn = _mark(kind, "50%", 7)
    else:
        drawn = element("rect", x=1, y=2, width=14, height=10, class_=kind)
    return element("svg", drawn, class_="swatch", width=16, height=14, aria_hidden="true", focusable="false")


def _scale(largest: float) -> tuple[float, list[float]]:
    """Return the top value of an axis, and the round values to mark on it: at most five, with 0."""
    if largest <= 0:
        return 1, [0]
    # Never below 1: what is counted comes in whole numbers.
    power = 10 ** math.floor(math.log10(max(largest / 4, 1)))
    step = next(size * power for size in (1, 2, 5, 10) if size * power * 4 >= largest)
    marks = math.ceil(largest / step)
    return step * marks, [step * number for number in range(marks + 1)]


def _tick(place: float, text: str, height: float) -> Markup:
    x = in_percent(place)
    anchor = "start" if place == 0 else "end" if place == 1 else "middle"
    line = element("line", x1=x, x2=x, y1=0, y2=height, class_="grid")
    return line + element("text", text, x=x, y=height + 14, text_anchor=anchor, class_="scale")


def _gridline(value: float, top: float) -> Markup:
    y = _HEIGHT * (1 - value / top)
    line = element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if value else "ground")
    return line + element("text", tick(value), x=-8, y=y + 4, text_anchor="end", class_="scale")


def _drawn(series: Series, top: float) -> Markup:
    heights = [None if value is None else 100 - 100 * value / top for value in series.values]
    return _line(heights) if series.kind == "line" else _columns(heights, series.kind)


def _columns(heights: Sequence[float | None], kind: str) -> Markup:
    gap = _GAPS[kind] if len(heights) <= _MAX_SPACED_COLUMNS else 0
    path = "".join(
        f"M{short(place + gap)} 100V{short(y)}H{short(place + 1 - gap)}V100Z"
        for place, y in enumerate(heights)
        # A column of height 0 would still draw its outline.
        if y is not None and y < 100
    )
    return _stroke(path, kind)


def _line(heights: Sequence[float | None]) -> Markup:
    points = [f"{short(place + 0.5)} {short(y)}" for place, y in enumerate(heights) if y is not None]
    path = "L".join(points) and f"M{'L'.join(points)}"
    # A zero-length path with round caps draws a point, and stays round however the chart is stretched.
    dots = "".join(f"M{point}h0" for point in points) if len(points) <= _MAX_POINTS else ""
    return _stroke(path, "line") + _stroke(dots, "points")


def _stroke(path: str, kind: str) -> Markup:
    return element("path", d=path, class_=kind, vector_effect="non-scaling-stroke") if path else Markup()


def _along(labels: Sequence[str]) -> Iterable[Markup]:
    for place in range(0, len(labels), max(math.ceil(len(labels) / _MAX_LABELS), 1)):
        x = in_percent((place + 0.5) / len(labels))
        yield element("text", labels[place], x=x, y=_HEIGHT + 18, text_anchor="middle", class_="scale")


def _hovered(names: Sequence[str], series: Sequence[Series]) -> Iterable[Markup]:
    for place, name in enumerate(names):
        numbers = ", ".join(f"{one.name.lower()} {count(one.values[place])}" for one in reversed(series))
        yield element(
            "rect",
            element("title", f"{name}: {numbers}"),
            x=in_percent(place / len(names)),
            width=in_percent(1 / len(names)),
            height=_HEIGHT,
            class_="hover",
        )


def _rows(rows: Sequence[Row], draw: Callable[[Sequence[tuple[str, float]]], Markup]) -> Iterable[Markup]:
    for number, row in enumerate(rows):
        label = element("text", shortened(row.label, _LONGEST_LABEL), y=_BASELINE, class_="label")
        yield element(
            "svg",
            element("title", f"{row.label}: {row.said}"),
            element("svg", label, width="72%", height=_TOP),  # cut off before the number
            element("text", row.said, x="100%", y=_BASELINE, text_anchor="end", class_="number"),
            draw(row.parts),
            _earlier_bar(row.before),
            y=number * _ROW,
            width="100%",
            height=_ROW,
            overflow="visible",
        )


def _bar(parts: Sequence[tuple[str, float]], *, top: float = _TOP) -> Markup:
    drawn, x = element("rect", y=top, width="100%", height=_BAR, class_="track"), 0.0
    for kind, length in parts:
        if length > 0:
            drawn += element(
                "rect", x=in_percent(x), y=top, width=in_percent(length), height=_BAR, class_=f"part {kind}"
            )
        x += length
    return drawn


def _earlier_bar(length: float | None) -> Markup:
    if not length:
        return Markup()
    return element("rect", y=_TOP - 2, width=in_percent(length), height=_BAR + 4, class_="part outline")


def _span(parts: Sequence[tuple[str, float]]) -> Markup:
    y = _TOP + _BAR / 2
    places = [in_percent(place) for _, place in parts]
    lines = element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid")
    lines += element("line", x1=places[0], x2=places[-1], y1=y, y2=y, class_="span")
    return lines + Markup().join(_mark(kind, place, y) for (kind, _), place in zip(parts, places, strict=True))


def _mark(kind: str, x: str, y: float) -> Markup:
    if kind == "bar":
        return element("line", x1=x, x2=x, y1=y - 5, y2=y + 5, class_="span")
    return element("circle", cx=x, cy=y, r=4, class_=kind)
