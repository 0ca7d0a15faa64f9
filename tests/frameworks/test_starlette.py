"""Tests of docs/frameworks.md."""

from __future__ import annotations

import pytest

from tests.frameworks.examples import WhatStarlettesPagesSay
from tests.frameworks.newcomer import start_example
from tests.frameworks.page import page
from tests.frameworks.running import SAME_ORIGIN, running

PAGE = page("starlette")


class TestStarlette(WhatStarlettesPagesSay):
    page = PAGE


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_endpoint_with_a_fallback_and_class_of_the_example_follow_the_answer() -> None:
    async with running(start_example(PAGE).app) as visitor:
        branches, film = [(await visitor.get(path)).text for path in ("/branches", "/film")]
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        map_, shown = [(await visitor.get(path)).text for path in ("/branches", "/film")]
    assert branches == "Ginza, Shibuya"
    assert 'value="grant"' in film
    assert "The map" in map_
    assert "The film" in shown
