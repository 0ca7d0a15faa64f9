"""What the tests of each framework have in common: what its page says, and how visitors use its example."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from starlette.testclient import TestClient

from tests.frameworks.newcomer import lifetimes, run_tests, start_example, take_first_steps
from tests.frameworks.page import FALLBACK, Page
from tests.frameworks.running import SAME_ORIGIN, running

DAY = 86_400


async def check_cookies(site: Any, app: Any, expected: dict[str, int | None]) -> None:
    """Check that a framework sets these cookies, and that all pass before anybody answered, for as long.

    Args:
        site: the framework's app.
        app: the same app with the middleware in front.
        expected: name -> for how many seconds; None until the browser closes.
    """
    async with running(site) as visitor:
        own = await visitor.get("/")
    async with running(app) as visitor:
        passed = await visitor.get("/")
    assert lifetimes(own) == expected
    assert lifetimes(passed) == expected


@pytest.mark.usefixtures("folder")
class WhatEachPageSays:
    """The tests that each framework's page and example pass. A module has a subclass for its page."""

    page: ClassVar[Page]

    @pytest.mark.anyio
    @pytest.mark.slow
    async def test_first_steps_of_the_page_lead_to_a_record(self) -> None:
        await take_first_steps(self.page)

    def test_tests_of_the_page_pass(self) -> None:
        run_tests(self.page)

    @pytest.mark.anyio
    async def test_features_of_the_example_follow_the_answer(self) -> None:
        paths = ("/suggestions", "/tour", "/offices")
        async with running(start_example(self.page).app) as visitor:
            off = [(await visitor.get(path)).text.strip() for path in paths]
            await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
            on = [(await visitor.get(path)).text.strip() for path in paths]
        assert off[0] == '["for everybody"]'
        assert all(FALLBACK in page and 'value="grant"' in page for page in off[1:])
        assert on[0] == '["for you"]'
        assert "The film" in on[1]
        assert "<iframe" in on[2]
        assert "/privacy-choices?language=en" in on[2]

    @pytest.mark.anyio
    async def test_compressed_pages_of_the_example_have_what_they_need(self) -> None:
        """They ask, and after an answer they have the link to the settings."""
        async with running(start_example(self.page).app) as visitor:
            asking = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
            await visitor.post("/privacy-choices", json={"choice": "refuse_all"}, headers=SAME_ORIGIN)
            answered = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
        assert [page.headers["content-encoding"] for page in (asking, answered)] == ["gzip", "gzip"]
        assert "refuse_all" in asking.text
        assert 'class="pchoice-way-back"' in answered.text

    def test_websocket_of_the_example_follows_the_answer(self) -> None:
        # Without its lifespan, in which Falcon would wait for ever.
        client, said = TestClient(start_example(self.page).app), []
        for choice in (None, "accept_all"):
            if choice:
                client.post("/privacy-choices", json={"choice": choice}, headers=SAME_ORIGIN)
            with client.websocket_connect("/live") as socket:
                said.append(socket.receive_json())
        assert said == [{"media": False}, {"media": True}]


class WhatStarlettesPagesSay(WhatEachPageSays):
    """The same, where the session is the one of Starlette's `SessionMiddleware`."""

    @pytest.mark.anyio
    async def test_session_of_the_example_passes_before_consent_and_lasts_as_declared(self) -> None:
        async with running(start_example(self.page).app) as visitor:
            first, second = await visitor.get("/"), await visitor.get("/")
        assert lifetimes(first) == {"session": 14 * DAY}
        assert "Visit 2." in second.text
