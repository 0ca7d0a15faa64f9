"""Configuration of pytest, and fixtures for all tests."""

from __future__ import annotations

import faulthandler
import gc
import logging
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from cookie_consent.base.messages import forget_warnings
from tests.support.built import changed_sources, complaint
from tests.support.examples import register_profiles
from tests.support.servers.processes import program_path

TESTS = Path(__file__).parent
LONGEST_IN_FULL_MATRIX = 150.0
"""Seconds of a test."""
LONGEST_FINISH = 60.0
"""Seconds."""
MORE_THAN_A_TEST = 15.0
"""Seconds from the limit of a test, at which an exception should end it, to the end of the process."""

pytest_plugins = ["tests.support.selection", "tests.support.servers.fixtures"]

# Modules and tests stay until the end. While they are collected, the garbage collector would take half of the time.
gc.disable()

register_profiles()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Stop if old scripts would be tested. In the full matrix, Hypothesis tries more examples, which takes longer."""
    if changed := changed_sources():
        raise pytest.UsageError(complaint(changed))
    if config.getoption("--full-matrix"):
        hypothesis.settings.load_profile("full")
        config.option.timeout = config.getoption("timeout") or LONGEST_IN_FULL_MATRIX
    # The policies of tests stay examples. A test of what the start says of that sets the level itself.
    logging.getLogger("cookie_consent.policy").setLevel(logging.ERROR)
    # A shell starts programs in its background with SIGINT ignored, and so would be those to which tests send it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the process if no exception ends the test: nothing interrupts the engine of a database, for example.

    Note which folder the test is of: `tests/support/floors.py` reads how much of a room its own tests cover.
    """
    measured = coverage.Coverage.current()
    if measured:
        measured.switch_context(item.path.relative_to(TESTS).parts[0])
    mark = item.get_closest_marker("timeout")
    longest = float(mark.args[0] if mark else item.config.getoption("timeout") or item.config.getini("timeout"))
    _end_later(item.config, longest + MORE_THAN_A_TEST)
    if item.get_closest_marker("browser"):
        program_path("chromium", "chromium")


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Limit what follows a failure: the end of the test's fixtures, and its next tries.

    At a failure, pytest and pytest-timeout stop their clocks, in case that somebody debugs it.
    """
    if isinstance(node, pytest.Item):
        _end_later(node.config, LONGEST_FINISH)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Limit how long the process may take to end after the last test."""
    _end_later(session.config, LONGEST_FINISH)


def _end_later(config: pytest.Config, seconds: float) -> None:
    """Say where the process is, and end it, after so long. Pytest stops this clock at the end of a test."""
    stderr = config.stash.get(fault_handler_stderr_fd_key, 2)
    faulthandler.dump_traceback_later(seconds, file=stderr, exit=True)


def pytest_unconfigure() -> None:
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured logs, so that a worker can send its report: some tests log them."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def _warns_in_each_test() -> None:
    """Log each warning again, as the first test of a process would get it."""
    forget_warnings()


_SERVERS = {"clickhouse", "live_sites", "postgres", "private_clickhouse", "stoppable_postgres"}
"""Fixtures that start servers."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that need servers, and rerun failed tests of browsers and servers: machines are busy.

    No other test is rerun: a rerun would hide an unreliable test. Coverage is not measured in tests of browsers whose
    sites are other processes, nor in those of random examples: what is covered must not depend on luck, and measuring
    doubles the time of a test.
    """
    for item in items:
        if _asks_for_a_server(item):
            item.add_marker(pytest.mark.server)
        is_elsewhere = item.get_closest_marker("browser") and not item.get_closest_marker("covers")
        if is_elsewhere or hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.no_cover)
        needs_others = any(map(item.get_closest_marker, ("browser", "server")))
        if needs_others and not item.get_closest_marker("flaky"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if hasattr(config, "workerinput"):  # In a worker: the longest tests come first, so that no worker waits at the end.
        items.sort(key=_place)


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but do not search all modules and tests for it each time."""
    gc.freeze()
    gc.enable()


def _place(item: pytest.Item) -> int:
    return next((place for place, name in enumerate(("browser", "server", "slow")) if item.get_closest_marker(name)), 3)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker one file at a time."""
    from tests.support.scheduling import ByFile  # not needed without workers

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def _asks_for_a_server(item: pytest.Item) -> bool:
    params = getattr(item, "callspec", None)
    values = map(str, params.params.values()) if params else ()
    return not _SERVERS.isdisjoint(getattr(item, "fixturenames", ())) or any(
        value in ("clickhouse", "postgresql") for value in values
    )


class _Exceptions(logging.Handler):
    """Keeps the exceptions that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.records.append(record)


@pytest.fixture(autouse=True)
def logged_exceptions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test if the package logs an exception unexpectedly, or if it logs none although one is expected.

    An exception while deciding denies everything: without this fixture, a test that expects a denial would pass on a
    crash.
    """
    found, log = _Exceptions(), logging.getLogger("cookie_consent")
    log.addHandler(found)
    yield
    log.removeHandler(found)
    texts = [logging.Formatter().format(record) for record in found.records]
    if request.node.get_closest_marker("logs_an_exception"):
        assert texts, "an exception was expected to be logged"
    else:
        assert not texts, "the test did not expect this logged exception:\n" + "\n".join(texts)
