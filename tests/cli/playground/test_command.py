"""Tests of the command `playground`: it serves until Ctrl-C, and says what is wrong."""

from __future__ import annotations

import argparse
import errno
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from cookie_consent.cli.command import GOOD, WRONG_USAGE
from cookie_consent.cli.playground.command import PLAYGROUND
from tests.support.documentation import blocks
from tests.support.served import visited


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    PLAYGROUND.arguments(parser)
    return PLAYGROUND.run(parser.parse_args(argv))


@pytest.mark.slow
def test_command_serves_a_policy_until_it_is_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.toml"
    file.write_text('# Our own\n[site]\nname = "Grüße"\n', encoding="utf-8")
    said: list[str] = []
    with visited(capsys, said=said) as replies:
        assert run(str(file)) == GOOD
    assert [reply.status_code for reply in replies] == [200]
    assert "Grüße" in replies[0].text
    assert file.read_text(encoding="utf-8").startswith("# Our own\n")
    # The page of the documentation says the same, with another port.
    (block,) = blocks("docs/playground.md", "console")
    install, start, printed = block.splitlines()
    assert (install, start) == ('$ pip install "cookie-consent[demo]"', "$ cookie-consent playground")
    assert re.sub(r":\d+", ":0", printed) == re.sub(r":\d+", ":0", said[0].strip())


def test_command_reports_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("--port", str(port)) == WRONG_USAGE
    assert capsys.readouterr().err == f"It cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}.\n"


@pytest.mark.parametrize(
    ("content", "said"), [(None, " cannot be read: No such file"), (b"\xff\xfea", ": this file is in UTF-16")]
)
def test_file_that_cannot_be_read_is_named(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    if content is not None:
        file.write_bytes(content)
    assert run(str(file)) == WRONG_USAGE
    assert f"{file}{said}" in capsys.readouterr().err


def test_command_without_uvicorn_says_how_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run() == WRONG_USAGE
    assert 'playground needs uvicorn: pip install "cookie-consent[demo]"' in capsys.readouterr().err
