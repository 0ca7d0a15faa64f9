"""Tests of what a visitor in a hurry sees at once: the question is short, and its choices fit on one screen."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ViewportSize, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.cli.init import starter
from tests.support.browsers.visitor_browser import Visitor, serve
from tests.support.policies import KEY, policy_of

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)
FOURTH = """
[purposes.ads]
title = { en = "Advertising" }
description = { en = "We show you products that you looked at." }
retention = "30 days"
"""
MOST_WORDS = 40
MOST_WORDS_OF_SETTINGS = 250
FIRST_BOX_WITHIN, SAVE_WITHIN = 500, 1000
TOPS = """form => [...form.querySelectorAll("input[type=checkbox], button, summary, a")]
    .filter(it => it.checkVisibility())
    .map(it => [it.getBoundingClientRect().top, it.getBoundingClientRect().bottom])"""


async def page(request: Request) -> Response:
    """Show a page."""
    return HTMLResponse("<!doctype html><html lang=en><meta name=viewport content=width=device-width><h1>Hello</h1>")


def site(further: str = "") -> ConsentMiddleware:
    """Return a site with the policy that `init` writes."""
    policy = policy_of(tomllib.loads(starter(["en"]) + further))
    return ConsentMiddleware(Starlette(routes=[Route("/", page)]), policy, KEY)


@contextmanager
def visited(browser: Browser, further: str = "") -> Iterator[Visitor]:
    """Open the site on a phone. No script may fail."""
    with serve(site(further)) as sites, browser.new_context(viewport=PHONE) as context:
        visitor = Visitor(context, sites)
        visitor.go("/")
        visitor.ready()
        yield visitor
        assert visitor.complaints == []


def test_question_of_first_policy_has_few_words(browser: Browser) -> None:
    with visited(browser) as visitor:
        words = visitor.banner.inner_text().split()
    assert len(words) <= MOST_WORDS, words


def test_four_purposes_their_answers_and_save_are_on_one_screen(browser: Browser) -> None:
    with visited(browser, FOURTH) as visitor:
        visitor.banner.locator("summary").click()
        expect(visitor.banner.locator("input[type=checkbox]")).to_have_count(4)
        places = visitor.banner.locator("form").evaluate(TOPS)
    assert min(top for top, _ in places) >= 0
    assert max(bottom for _, bottom in places) <= PHONE["height"]


@pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])
def test_settings_begin_with_choices_and_save(browser: Browser, scripted: bool) -> None:
    with (
        serve(site(FOURTH)) as sites,
        browser.new_context(viewport=PHONE, java_script_enabled=scripted) as context,
    ):
        settings = context.new_page()
        settings.goto(f"{sites.address}/privacy-choices")
        box = settings.locator("input[type=checkbox]:visible").first.bounding_box()
        save = settings.get_by_role("button", name="Save").first.bounding_box()
        words = settings.locator("body").inner_text().split()
    assert box is not None
    assert save is not None
    assert box["y"] <= FIRST_BOX_WITHIN
    assert save["y"] + save["height"] <= SAVE_WITHIN
    assert len(words) <= MOST_WORDS_OF_SETTINGS, words
