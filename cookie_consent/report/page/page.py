"""Render a report as one HTML file, for screen and paper, that loads nothing and runs no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.report.page.charts import PATTERNS, meter
from cookie_consent.report.page.filters import Asked, active_filters, comparison, periods, with_links
from cookie_consent.report.page.formatting import (
    comparison_in_words,
    count,
    days,
    decimal,
    few_visitors,
    left_out,
    may_be_fewer,
    moment,
    percent,
    seconds,
    visible,
)
from cookie_consent.report.page.overview import brief_lists, main_chart
from cookie_consent.report.page.sections import Section, sections

_TEMPLATES = Path(__file__).parent
_STYLE = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
STYLE_SOURCE = f"'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""The source for `style-src` in a Content-Security-Policy: the hash of the page's only style sheet."""
POLICY = f"default-src 'none'; style-src {STYLE_SOURCE}; img-src data:; base-uri 'none'; form-action 'none'"
"""The page's own Content-Security-Policy. No text from a record can load or run anything under it."""
_COMPARISONS = (("", "nothing"), ("previous", "the time before"), ("year", "the year before"))
_STEPS = (("", "what fits"), ("hour", "hours"), ("day", "days"), ("week", "weeks"), ("month", "months"))
"""What the form offers: value and text."""
_NOTHING = "Nothing of this in this time, or of too few visitors."
_FEW = 0.0005
_UNKNOWN = "is not known, and nothing is estimated for the rest."

_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
# Safe as Markup: this is a file of the package, not text from a record.
_environment.globals.update(style=Markup(_STYLE), patterns=PATTERNS)  # noqa: S704
_environment.globals.update(comparisons=_COMPARISONS, steps=_STEPS, nothing=_NOTHING)


@dataclass(frozen=True, slots=True)
class Number:
    """A number at the top of the page.

    Args:
        name: what it counts.
        value: the number, formatted.
        change: how it differs from the earlier period; "" without a comparison.
        earlier: what it was in the earlier period; "" if that does not belong to the change.
    """

    name: str
    value: str
    change: str = ""
    earlier: str = ""


def page(report: Mapping[str, Any]) -> str:
    """Return a report as an HTML page, to open from a file, mail or print.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    return _render(POLICY, None, "", report)


def live_page(asked: Asked | None, report: Mapping[str, Any] | None, problem: str = "") -> str:
    """Return a report with a form that asks for another one.

    The page has no Content-Security-Policy of its own: send one as a header.

    Args:
        asked: the form's values: "period", "from", "to", "host", "compare" and "step", and a list of filters, "where",
            each like "source=google.com"; None for no form.
        report: the report; None if there is none.
        problem: why there is none.
    """
    return _render("", asked, problem, report)


def _render(policy: str, asked: Asked | None, problem: str, report: Mapping[str, Any] | None) -> str:
    shown = {} if report is None else _shown(report, asked)
    filters = [] if asked is None else active_filters(asked)
    shortcuts = [] if asked is None or report is None else [*periods(report, asked), comparison(asked)]
    return _environment.get_template("report.html").render(
        policy=policy, asked=asked, filters=filters, shortcuts=shortcuts, problem=problem, report=report, **shown
    )


def _shown(report: Mapping[str, Any], asked: Asked | None) -> dict[str, Any]:
    before, range_ = report["compare"], report["range"]
    parts = _sections(report, asked)
    shown = {
        "title": f"Visits, {days(range_['from'], range_['to'])}",
        "about": _about(range_),
        "compared": comparison_in_words(report),
        "left_out": left_out(report),
        "numbers": _numbers(report, before),
        "share": _share_in_words(report, before),
        "meter": meter(report["share"]["share"]) if report["share"]["share"] is not None else "",
        "main": main_chart(report) if parts else None,
        "briefs": brief_lists(parts) if parts else [],
        "sections": parts,
        "small_groups": _small_groups(report),
        "made": moment(range_["generated_at"], range_["time_zone"]),
    }
    if not report["small_groups"]["withheld"]:
        return shown
    few = f"fewer than {report['small_groups']['threshold']}"
    return {**shown, "small_groups": "", "numbers": [Number("Visitors", few)], "share": few_visitors(report)}


def _sections(report: Mapping[str, Any], asked: Asked | None) -> list[Section]:
    if report["small_groups"]["withheld"]:
        return []
    return sections(report) if asked is None else with_links(sections(report), asked)


def _about(range_: Mapping[str, Any]) -> str:
    host = f"The host {visible(range_['host'])}" if range_["host"] else "All hosts"
    filters = ", ".join(f"{key} {visible(value)}" for key, value in range_["where"])
    pages = f"all pages; only sessions with {filters}" if filters else "all pages"
    return f"{host}, {pages}. {_zone_in_words(range_['time_zone'])}"


def _zone_in_words(zone: str) -> str:
    if zone == UTC_NAME:
        return "Days and hours are in UTC."
    return f"Days and hours are those of {zone}."


def _numbers(report: Mapping[str, Any], before: Mapping[str, Any] | None) -> Sequence[Number]:
    was = before or {}
    counted = [
        _number(name, count, report[key], was.get(key))
        for name, key in (("Visitors", "visitors"), ("Sessions", "sessions"), ("Views", "views"))
    ]
    median, median_before = report["session_seconds"]["median"], was.get("session_seconds", {}).get("median")
    numbers = [
        *counted,
        _number("Views per session", decimal, report["views_per_session"], was.get("views_per_session")),
        _number("Bounce rate", percent, report["bounce_rate"], was.get("bounce_rate"), is_share=True),
        _number("Session, median", seconds, median, median_before),
    ]
    return numbers if before else [Number(number.name, number.value) for number in numbers]


def _number(
    name: str, said: Callable[[float | None], str], now: float | None, then: float | None, *, is_share: bool = False
) -> Number:
    if now is None or then is None:
        return Number(name, said(now), "nothing to compare with")
    if not then and not is_share:
        return Number(name, said(now), "none before" if now else "none before either")
    change = _points(now, then) if is_share else _growth(now, then)
    return Number(name, said(now), change or "as before,", f"from {said(then)}" if change else said(then))


def _growth(now: float, then: float) -> str:
    """Describe how a number has changed; "" for hardly at all."""
    growth = now / then - 1
    return f"{'up' if growth > 0 else 'down'} {percent(abs(growth))}" if abs(growth) >= _FEW else ""


def _points(now: float, then: float) -> str:
    """Describe how a share has changed, in points: a percentage of a percentage would mislead. "" for hardly at all."""
    points = (now - then) * 100
    return f"{'up' if points > 0 else 'down'} {abs(points):.1f} points" if abs(points) >= _FEW * 100 else ""


def _share_in_words(report: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """Say what share of all page views has a record."""
    share, was = report["share"], (before or {}).get("share", {}).get("share")
    if report["range"]["where"]:
        return f"All pages that people saw are not counted by session: for which share the records stand {_UNKNOWN}"
    if share["views"] is None:
        return f"There are no counts of all pages that people saw: for which share the records stand {_UNKNOWN}"
    if share["share"] is None:
        return "People saw no pages in this time."
    return (
        f"The records stand for {percent(share['share'])} of {count(share['views'])} pages that people saw; nothing is "
        f"estimated for the rest.{'' if was is None else f' Before, it was {percent(was)}.'}"
    )


def _small_groups(report: Mapping[str, Any]) -> str:
    small = report["small_groups"]
    if small["threshold"] == 1:
        return ""  # no group is too small
    joined = "1 was" if small["merged"] == 1 else f"{count(small['merged'])} were"
    return (
        f"No row of a list stands for fewer than {small['threshold']} visitors: smaller ones are joined into “(other)”,"
        f" or left out where that is too few as well ({joined}). {may_be_fewer(report)}"
    )
