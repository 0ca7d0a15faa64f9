"""The figures of consent, for the report page: of all who were asked, of those who answered, and by one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cookie_consent.report.page.figures import Cells, Figure, Line, over_time, stacked
from cookie_consent.report.page.formatting import count, percent, visible

_ANSWERED = {
    "granted": ("solid", "Yes to all"),
    "partial": ("hatched", "Partly"),
    "refused": ("strong", "No"),
}
_ANSWERS = {**_ANSWERED, "unanswered": ("outline", "Not answered")}
_OF_PURPOSES = {"granted": ("solid", "Yes"), "refused": ("strong", "No"), "unanswered": ("outline", "Not answered")}
_OF_DEVICES = {"granted": ("solid", "Yes to all"), "other": ("outline", "Any other answer, or none")}
_VISITS = {
    "answered_first": ("solid", "Answered on the first page"),
    "answered_later": ("hatched", "Answered later"),
    "ignored": ("outline", "Ignored"),
}
_BY = {
    "policy": ("By version of the policy", "Version"),
    "prefix": ("By part of the site", "Path begins with"),
}
_COUNTS_ONLY = "Counts of pages on which the question was asked, not of people: nobody is traced to make them."
_OF_ALL = "They are of all pages and visitors, also where the report is of some."


def consent_note(report: Mapping[str, Any]) -> str:
    """Say what share of the answers is a yes, and of what the counts are.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    figures, said = report["consent"], [_COUNTS_ONLY]
    if figures["granted_of_answers"] is not None:
        share = f"{percent(figures['granted_of_answers'])} of the answers are a yes to all"
        of_all = figures["granted_of_questions"]
        said.insert(0, f"{share}." if of_all is None else f"{share}; {percent(of_all)} of the pages with the question.")
    if report["range"]["where"]:
        said.append(_OF_ALL)
    return " ".join(said)


def consent_figures(report: Mapping[str, Any]) -> list[Figure]:
    """Return the figures of consent.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    days = {"refused": ("line", "No"), "granted": ("solid", "Yes to all"), "asked": ("outline", "Asked")}
    languages = [cell for cell in _cells("Language", "language") if cell is not _SIGNAL]
    more = [("Partly", _number("partial")), ("Not answered", _number("unanswered")), *_BESIDE]
    whole = [{"name": "All pages", **report["consent"]}] if any(report["consent"].values()) else []
    return [
        stacked("consent-overall", "What was answered", whole, _ANSWERS, _cells("Pages", "name")),
        *_of_visits(report["consent"]),
        *_by_purpose(report),
        stacked("hosts", "By host", report["consent_by_host"], _ANSWERS, _cells("Host", "host")),
        stacked("languages", "By language", report["consent_by_language"], _ANSWERS, languages),
        *(_by(report, thing, title, head) for thing, (title, head) in _BY.items() if report[f"consent_by_{thing}"]),
        *_by_device(report),
        over_time("consent-by-day", "Asked and answered by day", report["consent_by_day"], days, more),
    ]


def _of_visits(figures: Mapping[str, Any]) -> list[Figure]:
    """Return what became of the visits that began with the question, and the answers alone; nothing without any."""
    answered, first = sum(figures[answer] for answer in _ANSWERED), figures["answered_first"]
    later = max(0, answered - first - figures["changed"])
    visits = {"name": "Visits that began with it", **figures, "answered_later": later}
    answers = {"name": "All answers", **figures, "answers": answered}
    parts = [(called, _number(part)) for part, (_, called) in _VISITS.items()]
    settings = ("Settings opened", _number("settings"))
    cells: Cells = [("Visits", _text("name")), ("Asked", _number("asked_first")), *parts, settings]
    said = [(called, _number(answer)) for answer, (_, called) in _ANSWERED.items()]
    of_answers: Cells = [("Answers", _text("name")), ("Answers", _number("answers")), *said, _YES]
    return [
        *([stacked("answered", "Of those who answered", [answers], _ANSWERED, of_answers)] if answered else []),
        *(
            [stacked("visits", "Visits that began with the question", [visits], _VISITS, cells)]
            if figures["asked_first"]
            else []
        ),
    ]


def _by_purpose(report: Mapping[str, Any]) -> list[Figure]:
    rows, said = report["consent_by_purpose"], [(called, _number(key)) for key, (_, called) in _OF_PURPOSES.items()]
    cells = [("Purpose", _text("purpose")), ("Asked", _number("asked")), *said, _YES, _TAKEN_BACK]
    return [stacked("purposes", "By purpose", rows, _OF_PURPOSES, cells)] if rows else []


def _by(report: Mapping[str, Any], thing: str, title: str, head: str) -> Figure:
    said = [(called, _number(answer)) for answer, (_, called) in _ANSWERS.items()]
    asked = (("Asked", _number("asked")), ("Asked first", _number("asked_first")))
    cells = [(head, _text(thing)), *asked, *said, _YES]
    return stacked(f"consent-by-{thing}", title, report[f"consent_by_{thing}"], _ANSWERS, cells)


def _by_device(report: Mapping[str, Any]) -> list[Figure]:
    """Return the figure by device, which is not known of those who said no."""
    rows = [{**row, "other": max(0, row["asked"] - row["granted"])} for row in report["consent_by_device"]]
    said = [(called, _number(part)) for part, (_, called) in _OF_DEVICES.items()]
    asked = (("Asked", _number("asked")), ("Asked first", _number("asked_first")))
    share = ("Yes, of questions", lambda row: percent(row["granted_of_questions"]))
    cells = [("Device", _text("device")), *asked, *said, share]
    return [stacked("consent-by-device", "By device", rows, _OF_DEVICES, cells)] if rows else []


def _cells(head: str, key: str) -> Cells:
    answers = [(called, _number(answer)) for answer, (_, called) in _ANSWERS.items()]
    return [(head, _text(key)), ("Asked", _number("asked")), *answers, *_BESIDE]


def _text(key: str) -> Callable[[Line], str]:
    return lambda row: visible(row[key])


def _number(key: str) -> Callable[[Line], str]:
    return lambda row: count(row[key])


_YES = ("Yes, of answers", lambda row: percent(row["granted_of_answers"]))
_TAKEN_BACK = ("Taken back", _number("withdrawn"))
_SIGNAL = ("Refused by the browser's signal", _number("signal"))
"""Not shown by language: a signal has none."""
_CHANGED = ("Changes of an earlier answer", _number("changed"))
_BESIDE = (_TAKEN_BACK, _CHANGED, _SIGNAL)
