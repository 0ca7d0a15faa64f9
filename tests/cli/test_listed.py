"""Tests of the commands' list: what the start of a command imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cookie_consent.cli.frame import GOOD
from cookie_consent.cli.main import COMMANDS, main

LIGHT = ("report", "serve-report", "compact", "export", "erase", "purge")
"""Commands on an access log. They run often, by cron too, and need neither policy nor ledger to begin."""
NEEDED_LATER = {
    *("starlette", "jinja2", "babel", "user_agents", "ua_parser", "itsdangerous", "rfc8785", "sqlalchemy", "duckdb"),
    *("cookie_consent.middleware", "cookie_consent.decision", "cookie_consent.tracing", "cookie_consent.visitors"),
    *("cookie_consent.policy", "cookie_consent.texts", "cookie_consent.ledgers", "cookie_consent.report.page"),
}
START = """
import contextlib, json, os, sys
from cookie_consent.cli import main

loaded = {}
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    for command in sys.argv[1:]:
        with contextlib.suppress(SystemExit):
            main([command, "--help"])
        loaded[command] = sorted(sys.modules)
print(json.dumps(loaded))
"""


def test_commands_on_an_access_log_import_nothing_before_they_need_it() -> None:
    command = [sys.executable, "-c", START, *LIGHT]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    loaded = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60).stdout)
    assert {name: sorted(NEEDED_LATER & {*modules}) for name, modules in loaded.items()} == {name: [] for name in LIGHT}


@pytest.mark.parametrize("name", [listed.name for listed in COMMANDS])
def test_each_command_is_where_the_list_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=str(GOOD)):
        main([name, "--help"])
    assert "Exit status: 0 good" in " ".join(capsys.readouterr().out.split())
