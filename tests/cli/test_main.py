"""Tests of the command line itself: its list of commands, its help, and how a command ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest

from cookie_consent.cli.main import COMMANDS, FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main
from tests.cli.conftest import Run

LIGHT = ("report", "serve-report", "compact", "export", "erase", "purge")
"""Commands on an access log. They run often, by cron too, and need neither policy nor ledger to begin."""
NEEDED_LATER = {
    *("starlette", "jinja2", "babel", "user_agents", "ua_parser", "itsdangerous", "rfc8785", "sqlalchemy", "duckdb"),
    *("cookie_consent.middleware", "cookie_consent.decision", "cookie_consent.tracing", "cookie_consent.pages"),
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
STATUSES = {
    "verify": "0 good, 1 if something was changed, left out or added, 2 wrong usage.",
    "report": "0 good, 1 if a file of the access log, or a line, cannot be read, and is left out, 2 wrong usage.",
    "serve-report": "0 good, 2 wrong usage.",
}


def test_commands_on_an_access_log_import_nothing_before_they_need_it() -> None:
    command = [sys.executable, "-c", START, *LIGHT]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    loaded = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60).stdout)
    assert {name: sorted(NEEDED_LATER & {*modules}) for name, modules in loaded.items()} == {name: [] for name in LIGHT}


def test_help_of_each_command_says_its_exit_statuses(cli: Run) -> None:
    for listed in COMMANDS:
        ran = cli(listed.name, "--help")
        said = " ".join(ran.out.split())
        assert (ran.status, f"Exit status: {STATUSES.get(listed.name, '0 good')}" in said) == (GOOD, True), listed.name


def test_version_is_that_of_the_installed_package(cli: Run) -> None:
    assert cli("--version") == (GOOD, f"cookie-consent {version('cookie-consent')}\n", "")


@pytest.mark.parametrize("missing", ["httpx", "uvicorn", "sqlalchemy", "duckdb"])
def test_missing_package_is_named_with_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch, cli: Run) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    why = f'cookie-consent demo needs {missing}: pip install "cookie-consent[demo]"\n'
    assert cli("demo") == (WRONG_USAGE, "", why)


# How a command ends. `demo` stands for all: its walk is replaced.


@pytest.fixture
def replace_walk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    def replace(act: Callable[[], object]) -> None:
        monkeypatch.setattr("cookie_consent.cli.demo.run", lambda listen, **options: act())

    return replace


Replace = Callable[[Callable[[], object]], None]


@pytest.mark.parametrize(("holds", "status"), [(True, GOOD), (False, FINDING)])
def test_finding_has_a_status_of_its_own(holds: bool, status: int, replace_walk: Replace) -> None:
    replace_walk(lambda: holds)
    assert main(["demo", "--once"]) == status


def test_interrupted_command_ends_without_traceback(replace_walk: Replace) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    replace_walk(interrupt)
    assert main(["demo"]) == INTERRUPTED


@pytest.mark.slow  # the query takes some seconds
def test_interrupted_query_ends_command_without_traceback(replace_walk: Replace) -> None:
    def query() -> bool:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        # It may run to its end, because DuckDB's threads do not always notice the signal.
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SELECT count(*) FROM range(1_000_000_000) AS a WHERE hash(a.range) = 1").fetchall()
        return True

    replace_walk(query)
    assert main(["demo"]) == INTERRUPTED


def test_other_error_of_a_command_is_raised(replace_walk: Replace) -> None:
    def fail() -> None:
        raise RuntimeError("It is broken.")

    replace_walk(fail)
    with pytest.raises(RuntimeError, match="It is broken"):
        main(["demo"])


def test_terminated_command_cleans_up_first(replace_walk: Replace, cli: Run) -> None:
    cleaned_up = []

    def be_terminated() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(15)
        finally:
            cleaned_up.append(True)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    replace_walk(be_terminated)
    assert (cli("demo").status, cleaned_up) == (128 + signal.SIGTERM, [True])
    assert signal.signal(signal.SIGTERM, before) is signal.SIG_IGN, "a program that calls main may have its own"
