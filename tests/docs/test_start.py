"""Tests of docs/start.md: its app does what the page says that the reader sees."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support.documentation import ROOT, blocks, commands
from tests.support.servers.processes import free_port, running_program
from tests.support.waiting import wait_until

PAGE = "docs/start.md"
APP, TEST = blocks(PAGE, "python")
RELOAD, REPORT = blocks(PAGE, "console")[2:4]
WALK = """
import json, os, sys
from starlette.testclient import TestClient
from app import app

browser = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "text/html",
    "sec-fetch-site": "same-origin",
}
seen = []
with TestClient(app, base_url="http://127.0.0.1:8000", headers=browser) as client:
    for choice in (None, "refuse_all", "accept_all"):
        if choice:
            client.post("/privacy-choices", data={"choice": choice})
        page = client.get("/")
        assert page.status_code == 200, page.text
        seen.append(
            {
                "asks": "refuse_all" in page.text,
                "cookies": sorted(client.cookies.keys()),
                "link": ">Privacy settings: refused<" in page.text,
            }
        )
print(json.dumps(seen))

import test_app
test_app.test_cookie_needs_consent()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("site_folder")
def test_app_asks_and_obeys_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    Path("app.py").write_text(APP, encoding="utf-8")
    Path("test_app.py").write_text(TEST, encoding="utf-8")
    walk = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, timeout=60)
    assert walk.returncode == 0, walk.stderr
    before, refused, granted = json.loads(walk.stdout)
    assert before == {"asks": True, "cookies": [], "link": False}
    assert refused == {"asks": False, "cookies": ["consent"], "link": True}
    assert granted == {"asks": False, "cookies": ["_ga", "consent", "visitor"], "link": False}
    (report,) = commands(REPORT)
    assert main(report[1:]) == GOOD
    assert "Firefox" in capsys.readouterr().out
    (named,) = re.findall(r"^This test's visits are .*`(.+)` now", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    assert Path(named).read_text("utf-8")


def test_starlette_app_is_that_of_the_readme() -> None:
    (of_readme,) = blocks("README.md", "python")
    last_line = of_readme.splitlines(keepends=True)[-1]
    assert APP.startswith(of_readme.removesuffix(last_line))


@pytest.mark.server
@pytest.mark.usefixtures("site_folder")
def test_reloading_server_sees_a_change_of_the_policy_file() -> None:
    Path("app.py").write_text(APP, encoding="utf-8")
    assert RELOAD.removeprefix("$ ").strip() in (ROOT / "README.md").read_text("utf-8")
    (command,), port = commands(RELOAD), free_port()
    address = f"http://127.0.0.1:{port}/privacy-choices/policy"

    def names(site: str) -> bool:
        return bool(httpx.get(address).json()["site"]["name"] == site)

    with running_program([sys.executable, "-m", *command, "--port", str(port)]):
        wait_until(lambda: names("Example Site"), ignoring=(httpx.HTTPError,))
        file = Path("consent.toml")
        file.write_text(file.read_text("utf-8").replace('"Example Site"', '"Another Site"', 1), encoding="utf-8")
        wait_until(lambda: names("Another Site"), ignoring=(httpx.HTTPError,))
