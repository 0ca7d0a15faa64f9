"""Tests of the examples in docs/how-to/test-as-a-consenting-visitor.md, run by pytest as on a site."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware
from cookie_consent.testing import answer
from tests.frameworks.page import page
from tests.support.asgi import PREFIX
from tests.support.documentation import blocks
from tests.support.policies import KEY

PAGE = "docs/how-to/test-as-a-consenting-visitor.md"
pytestmark = pytest.mark.usefixtures("site_folder")


@pytest.mark.slow
def test_examples_pass_in_the_tests_of_a_site(site_folder: Path) -> None:
    (site_folder / "app.py").write_text(page("starlette").files["app.py"], encoding="utf-8")
    names = ("test_one.py", "test_asynchronous.py", "conftest.py", "test_fixtures.py")
    for name, block in zip(names, blocks(PAGE, "python"), strict=True):
        (site_folder / name).write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not trio", "-W", "error"]
    done = subprocess.run(command, cwd=site_folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "5 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_messages_of_the_page_are_those_that_are_raised() -> None:
    unknown, refused = blocks(PAGE, "text")
    client = TestClient(ConsentMiddleware(Starlette(), "consent.toml", KEY))
    with pytest.raises(LookupError) as error:
        answer(client, {"medai"})
    assert unknown.strip() == f"LookupError: {error.value}"
    assert client.post(PREFIX, json={"choice": "accept_all"}).json()["detail"] == refused.strip()
