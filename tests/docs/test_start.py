"""Tests of docs/start.md: its app does what the page says that the reader sees."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support.documentation import ROOT, blocks, commands

PAGE = "docs/start.md"
APP, TEST = blocks(PAGE, "python")
REPORT = blocks(PAGE, "console")[3]
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
