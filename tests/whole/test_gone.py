"""Tests of names that are gone: each is an error that says what to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware, Policy, gone
from cookie_consent.cli import main
from cookie_consent.sinks import open_sink
from tests.support.asgi import SITE, page_app
from tests.support.policies import KEY

TABLES = {"option": gone.OPTIONS, "policy": gone.POLICY_NAMES, "command": gone.COMMANDS, "scheme": gone.SCHEMES}
ROWS = [(kind, name, instead) for kind, table in TABLES.items() for name, instead in table.items()]


@pytest.mark.parametrize(("kind", "name", "instead"), ROWS, ids=[f"{kind} {name}" for kind, name, _ in ROWS])
def test_name_that_is_gone_is_an_error_that_says_what_to_do(
    kind: str, name: str, instead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _error_for(kind, name, tmp_path) or capsys.readouterr().err
    assert f"gone. {instead}" in " ".join(said.split())


def _error_for(kind: str, name: str, folder: Path) -> str:
    """Use a name that is gone; return the message of its exception, or "" for what is printed."""
    if kind == "command":
        with pytest.raises(SystemExit, match="2"):
            main(name.split())
        return ""
    with pytest.raises(ValueError, match="gone") as error:
        _use(kind, name, folder)
    return str(error.value)


def _use(kind: str, name: str, folder: Path) -> None:
    if kind == "option":
        options: dict[str, Any] = {name: None}
        ConsentMiddleware(page_app(), Policy.load(_policy_file(folder, SITE)), KEY, **options)
    elif kind == "policy":
        Policy.load(_policy_file(folder, f"{SITE}\n[{name}]\n"))
    else:
        open_sink(f"{name}://host/place")


def _policy_file(folder: Path, text: str) -> Path:
    file = folder / "consent.toml"
    file.write_text(text, encoding="utf-8")
    return file
