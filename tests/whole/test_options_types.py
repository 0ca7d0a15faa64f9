"""Tests of what a type checker finds in a site's code, before the start does."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

CALL = """
from starlette.applications import Starlette
from cookie_consent import ConsentMiddleware

app = Starlette()
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys="x", {option})
"""


@pytest.mark.slow
@pytest.mark.one_python
def test_type_checker_finds_what_start_would_refuse(tmp_path: Path) -> None:
    wrong = {"layout": "cornr", "csp": "enforced", "undeclared": "holds", "server_logs": "masked"}
    right = {"layout": "bar", "csp": "enforce", "undeclared": "allow", "server_logs": "drop"}
    files = []
    for kind, values in (("wrong", wrong), ("right", right)):
        for option, value in values.items():
            path = tmp_path / f"{kind}_{option}.py"
            path.write_text(CALL.format(option=f'{option}="{value}"'), encoding="utf-8")
            files.append(str(path))
    # With the cache of `make types`: to read the package and all that it imports takes ten seconds.
    said, problems, _ = api.run(["--strict", "--no-error-summary", *files])
    assert problems == ""
    found = [line for line in said.splitlines() if ": error:" in line]
    assert len(found) == len(wrong), said
    for option in wrong:
        (line,) = [line for line in found if f"wrong_{option}.py" in line]
        assert f'Argument "{option}"' in line
        assert "Literal[" in line
