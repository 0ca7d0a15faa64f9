"""Tests of the twelve questions of docs/analytics.md: each command prints the answer that the page shows.

In an answer, a line "…" stands for lines that the page leaves out.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support import shop_sample
from tests.support.documentation import ROOT

PAGE = ROOT / "docs" / "analytics.md"
SECTION = PAGE.read_text("utf-8").partition("\n## Twelve questions\n")[2].partition("\n## ")[0]
ASKED = re.findall(r"^### \d+\. ([^\n]+\?)\n\n```console\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
"""Each question, with its commands and their answers."""
(GOALS,) = re.findall(r"^```toml\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the records and counts of the shop, and its goals."""
    folder = tmp_path_factory.mktemp("shop")
    shop_sample.write(folder)
    (folder / "consent.toml").write_text(GOALS, "utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.one_python
@pytest.mark.parametrize(("question", "block"), ASKED, ids=[question for question, _ in ASKED])
def test_command_prints_the_documented_answer(
    question: str, block: str, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setenv("CONSENT_ACCESS_LOG", "logs/access.jsonl")
    for one in block.removeprefix("$ ").split("\n$ "):
        command, _, answer = one.partition("\n")
        program, *words = shlex.split(command)
        if program == "cat":
            said = Path(words[0]).read_text("utf-8").strip()
        else:
            assert main(words) == GOOD, question
            said = "" if "--csv" in words else capsys.readouterr().out.strip()
        assert re.fullmatch(re.escape(answer.strip()).replace("…", ".+"), said, re.DOTALL), said
