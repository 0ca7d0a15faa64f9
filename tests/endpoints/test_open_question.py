"""Tests of the question while only some purposes are open: it asks for these alone, and its answers are about these."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import PREFIX, SITE, Visitor, install, page_app
from tests.support.browsers.browser import Form, forms

HTML = [("accept", "text/html")]
QUESTION = re.compile(r'<span class="pchoice-question">.* similar data for (.*)\?</span>')
WIDER = SITE.replace("[[recipients]]", '[[cookies]]\nname = "seen"\npurpose = "analytics"\n\n[[recipients]]', 1)
"""The policy with one more cookie for statistics."""
STATISTICS, MAPS = "<b>Access tracing</b>", "<b>Maps and videos</b>"


def after_change(*, of: str = WIDER, ledger: MemoryLedger | None = None, **answered: bool) -> Visitor:
    """Return a visitor who has answered before the policy changed."""
    visitor = Visitor(install(page_app(), ledger=ledger), HTML)
    visitor.save(**answered)
    visitor.app = install(page_app(), of, ledger=ledger)
    return visitor


def after_card(ledger: MemoryLedger | None = None) -> Visitor:
    """Return a visitor who has allowed maps on a card, and answered nothing else."""
    visitor = Visitor(install(page_app(), ledger=ledger), HTML)
    visitor.send_form("choice=grant&purpose=media&source=feature&surface=card&card=maps&next=/")
    visitor.get()  # says that the answer is saved
    return visitor


def question(visitor: Visitor) -> tuple[str, Form]:
    """Return what the page asks for, and the form that asks."""
    text = visitor.get().text
    found = QUESTION.search(text)
    assert found
    return found[1], next(form for form in forms(text) if ("source", "banner") in form.hidden)


def purposes(visitor: Visitor) -> tuple[bool, bool]:
    """Return whether statistics and maps are allowed."""
    state = visitor.state()
    assert not state["should_ask"]
    return state["purposes"]["analytics"], state["purposes"]["media"]


ANSWERS = [
    # button, further fields -> whether what was asked is allowed
    ("accept_all", "", True),
    ("refuse_all", "", False),
    ("save", "", False),
    ("save", "&purpose={}", True),
]


ADDED = SITE.replace(
    "[[cookies]]",
    """[purposes.ads]
title = { en = "Advertising", ja = "広告" }
description = { en = "We show advertising.", ja = "広告を表示します。" }

[[cookies]]""",
    1,
)
HAS_CHANGED = "Our policy has changed, so we ask again."


@pytest.mark.requirement("PO-06")
@pytest.mark.parametrize(("button", "ticked", "allows"), ANSWERS)
@pytest.mark.parametrize(
    ("earlier", "purpose", "title", "has_changed", "others"),
    [
        (lambda: after_change(analytics=True, media=True), "analytics", STATISTICS, True, {"media": True}),
        (lambda: after_change(analytics=True, media=False), "analytics", STATISTICS, True, {"media": False}),
        (lambda: after_card(), "analytics", STATISTICS, False, {"media": True}),
        (
            lambda: after_change(of=ADDED, analytics=True, media=False),
            "ads",
            "<b>Advertising</b>",
            True,
            {"analytics": True, "media": False},
        ),
    ],
)
def test_question_and_its_answers_are_about_what_is_open_alone(
    earlier: Callable[[], Visitor],
    purpose: str,
    title: str,
    has_changed: bool,
    others: dict[str, bool],
    button: str,
    ticked: str,
    allows: bool,
) -> None:
    visitor = earlier()
    asked, form = question(visitor)
    assert (asked, visitor.state()["asked"]) == (title, [purpose])
    assert (HAS_CHANGED in visitor.get().text) is has_changed
    visitor.send_form(form.pressed(button) + ticked.format(purpose))
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, **others, purpose: allows}
    assert not state["should_ask"]


def test_json_answer_can_be_about_what_was_asked_alone() -> None:
    for choice, allows in (("accept_all", True), ("refuse_all", False)):
        visitor = after_change(analytics=True, media=True)
        visitor.post({"choice": choice, "asked": "analytics"})
        assert purposes(visitor) == (allows, True)


def test_answer_without_asked_is_about_everything() -> None:
    for choice, allows in (("accept_all", True), ("refuse_all", False)):
        visitor = after_change(analytics=True, media=not allows)
        visitor.post({"choice": choice})
        assert purposes(visitor) == (allows, allows)


def test_settings_are_about_everything_while_something_is_asked() -> None:
    for path, query in ((PREFIX, b""), (f"{PREFIX}/question", b"again")):
        visitor = after_change(analytics=True, media=True)
        text = visitor.get(path, query=query).text
        assert "Our policy has changed, so we ask again." in text
        form = next(form for form in forms(text) if ("choice", "refuse_all") in form.buttons)
        visitor.send_form(form.pressed("refuse_all"))
        assert purposes(visitor) == (False, False)


def test_ids_that_the_policy_has_no_more_are_no_error() -> None:
    visitor = Visitor(install(page_app()), HTML)
    assert visitor.post({"choice": "accept_all", "asked": "gone media"}).json["purposes"]["media"]
    assert visitor.state()["asked"] == ["analytics"]


def test_question_names_the_feature_that_its_answer_switches() -> None:
    both = SITE.replace('purposes = ["media"]', 'purposes = ["media", "analytics"]')
    wider = WIDER.replace('purposes = ["media"]', 'purposes = ["media", "analytics"]')
    for maps in (True, False):
        visitor = Visitor(install(page_app(), both), HTML)
        visitor.save(analytics=True, media=maps)
        visitor.app = install(page_app(), wider)
        assert ("Off if you refuse: Map of offices." in visitor.get().text) is maps


def test_question_without_anything_to_ask_is_none() -> None:
    visitor = Visitor(install(page_app()), HTML)
    visitor.refuse()
    assert visitor.get(f"{PREFIX}/question").status == 204
    assert visitor.get(f"{PREFIX}/question", query=b"again").status == 200
