"""Tests of the report's charts: shapes, axes, labels, and that texts of records are escaped."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup

from cookie_consent.report.page import charts
from cookie_consent.report.page.charts import PATTERNS, Series, element

NUMBERS = st.none() | st.integers(0, 10**12) | st.floats(0, 10**12)
LABELS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
SHARES = st.floats(0, 1)


def parsed(picture: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 (made by the code that is tested)


def of_class(picture: Markup, kind: str) -> list[ElementTree.Element]:
    return [found for found in parsed(picture).iter() if kind in found.get("class", "").split()]


def texts(picture: Markup, kind: str) -> list[str]:
    return [found.text or "" for found in of_class(picture, kind)]


def timeline(*series: Series, labels: Any = ("1 Nov", "2 Nov", "3 Nov")) -> Markup:
    return charts.timeline("chart", "Views", labels, labels, series, "count")


def check_chart(picture: Markup) -> None:
    """Check that a chart has a title and a description, and nothing that runs, loads or styles."""
    whole = parsed(picture)
    title, description = list(whole)[:2]
    assert (whole.get("role"), title.tag, description.tag) == ("img", "title", "desc")
    assert (whole.get("aria-labelledby"), whole.get("aria-describedby")) == (title.get("id"), description.get("id"))
    for found in whole.iter():
        assert found.tag in {"svg", "title", "desc", "path", "rect", "line", "circle", "text"}
        assert not [name for name in found.attrib if name == "style" or name.startswith("on") or "href" in name]
        assert "nan" not in "".join(found.attrib.values())


def test_chart_has_title_and_description() -> None:
    picture = timeline(Series("Views", "solid", [10, 40, 20]))
    check_chart(picture)
    assert list(parsed(picture).itertext())[:2] == [
        "Views",
        "Views: at most 40, 2 Nov. The table below has all numbers.",
    ]


def test_column_height_shows_number() -> None:
    (columns,) = of_class(timeline(Series("Views", "solid", [10, 40, 20])), "solid")
    assert columns.get("d") == "M0.2 100V75H0.8V100ZM1.2 100V0H1.8V100ZM2.2 100V50H2.8V100Z"


def test_outline_surrounds_solid_column() -> None:
    picture = timeline(Series("All", "outline", [40, 40, 40]), Series("Views", "solid", [20, 20, 20]))
    (outline,), (solid,) = of_class(picture, "outline"), of_class(picture, "solid")
    assert (outline.get("d") or "").startswith("M0.08 100V0H0.92")
    assert (solid.get("d") or "").startswith("M0.2 100V50H0.8")


def test_missing_and_zero_numbers_draw_nothing() -> None:
    (columns,) = of_class(timeline(Series("Views", "solid", [None, 40, 0])), "solid")
    assert (columns.get("d") or "").count("M") == 1
    assert of_class(timeline(Series("Views", "solid", [None, 0, 0])), "solid") == []
    assert of_class(timeline(Series("Views", "line", [None, None, None])), "line") == []


def test_line_has_points_only_for_few_numbers() -> None:
    few, many = Series("Sessions", "line", [1, None, 2]), Series("Sessions", "line", [1] * 100)
    assert [found.get("d") for found in of_class(timeline(few), "points")] == ["M0.5 50h0M2.5 0h0"]
    assert [found.get("d") for found in of_class(timeline(few), "line")] == ["M0.5 50M2.5 0"], "broken"
    picture = timeline(many, labels=["day"] * 100)
    assert (len(of_class(picture, "line")), of_class(picture, "points")) == (1, [])


def test_many_columns_have_no_gaps_and_no_tooltips() -> None:
    few = timeline(Series("Views", "solid", [1] * 130), labels=["day"] * 130)
    many = timeline(Series("Views", "solid", [1] * 131), labels=["day"] * 131)
    assert (len(of_class(few, "hover")), len(of_class(many, "hover"))) == (130, 0)
    assert (of_class(many, "solid")[0].get("d") or "").startswith("M0 100V0H1V100Z")


def test_column_tooltip_names_its_numbers() -> None:
    picture = timeline(Series("All views", "outline", [None, 4000, 4]), Series("Views", "solid", [1, 1200, 2]))
    assert ["".join(found.itertext()) for found in of_class(picture, "hover")] == [
        "1 Nov: views 1, all views –",
        "2 Nov: views 1,200, all views 4,000",
        "3 Nov: views 2, all views 4",
    ]


@pytest.mark.parametrize(
    ("largest", "marks"),
    [
        (0, ["0"]),
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (40, ["0", "10", "20", "30", "40"]),
        (41, ["0", "20", "40", "60"]),
        (999, ["0", "500", "1 k"]),
        (2_451, ["0", "1 k", "2 k", "3 k"]),
        (7_300_000, ["0", "2 m", "4 m", "6 m", "8 m"]),
        (3 * 10**9, ["0", "1 bn", "2 bn", "3 bn"]),
    ],
)
def test_axis_has_round_numbers(largest: int, marks: list[str]) -> None:
    picture = timeline(Series("Views", "solid", [0, largest, 0]))
    assert texts(picture, "scale")[: len(marks)] == marks


@pytest.mark.parametrize(("places", "named"), [(1, 1), (6, 6), (7, 4), (25, 5), (365, 6)])
def test_axis_labels_fit_on_a_phone(places: int, named: int) -> None:
    picture = timeline(Series("Views", "solid", [0] * places), labels=["day"] * places)
    assert texts(picture, "scale").count("day") == named


@pytest.mark.parametrize("kind", ["solid", "hatched", "dotted", "strong", "outline", "line", "gap"])
def test_legend_swatch_has_the_style_of_its_series(kind: str) -> None:
    sample = charts.swatch(kind)
    assert of_class(sample, kind)
    assert parsed(sample).get("aria-hidden") == "true"


def test_parts_of_a_strip_follow_each_other() -> None:
    picture = charts.strip([("solid", 0.5), ("hatched", 0.0), ("outline", 0.25)])
    assert [(found.get("class"), found.get("x"), found.get("width")) for found in of_class(picture, "part")] == [
        ("part solid", "0.000%", "50.000%"),
        ("part outline", "50.000%", "25.000%"),
    ]
    assert parsed(picture).get("aria-hidden") == "true"


def test_what_is_not_known_is_a_gap_and_no_zero() -> None:
    known, other = Series("Views", "solid", [None, 40, 0]), Series("Before", "outline", [None, None, 3])
    (gap,) = of_class(timeline(other, known), "gap")
    assert (gap.get("x"), gap.get("width")) == ("0.000%", "33.333%")
    assert of_class(timeline(known, Series("Before", "outline", [1, None, 3])), "gap") == []


def test_shares_have_an_axis_in_percent() -> None:
    series = [Series("Conversion", "line", [0.031, 0.002, None])]
    picture = charts.timeline("chart", "Conversion", "abc", "abc", series, "percent")
    assert texts(picture, "scale")[:5] == ["0 %", "1 %", "2 %", "3 %", "4 %"]
    assert "".join(of_class(picture, "hover")[1].itertext()) == "b: conversion 0.2 %"
    assert of_class(picture, "gap") == [], "a share of nothing"


def test_fill_patterns_are_defined() -> None:
    assert {found.get("id") for found in parsed(PATTERNS).iter() if found.tag == "pattern"} == {"hatch", "dots"}


def test_svg_element_escapes_text_and_attributes() -> None:
    made = element("text", "<script>", element("title", "&"), class_='"><b', data_x=1.239)
    assert made == '<text class="&#34;&gt;&lt;b" data-x="1.24">&lt;script&gt;<title>&amp;</title></text>'


@example([("day", 5e-324, None, None)])  # its quarter is 0
@given(st.lists(st.tuples(LABELS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=200))
def test_any_numbers_make_a_valid_timeline(rows: list[tuple[str, Any, Any, Any]]) -> None:
    labels, outline, solid, line = zip(*rows, strict=True)
    picture = timeline(
        Series("All", "outline", outline), Series("Some", "solid", solid), Series("<", "line", line), labels=labels
    )
    check_chart(picture)
    places = re.findall(r"V(-?[\d.e+]+)H", "".join(found.get("d", "") for found in of_class(picture, "solid")))
    assert all(0 <= float(place) <= 100 for place in places)
