"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest

pytest_plugins = ["tests.support.servers.fixtures"]

# A busy machine is no bug: what a test waits for it waits for by an event, and no example is too slow.
hypothesis.settings.register_profile(
    "default-here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# For `make mutate`: whether a test fails is all that counts there, not on how small an example.
hypothesis.settings.register_profile(
    "mutation",
    hypothesis.settings.get_profile("default-here"),
    max_examples=50,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("default-here")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the accessibility tests look at every combination, as continuous integration does."""
    parser.addoption(
        "--full-matrix",
        action="store_true",
        default=os.environ.get("FULL_MATRIX") == "1",
        help="look at every combination of surface, width, colours and language (or set FULL_MATRIX=1)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what was logged go from one process to another: some tests log halves of characters."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


_SERVERS = {"clickhouse", "live", "nats", "postgres", "private_clickhouse", "stoppable_postgres"}
"""Fixtures that start servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test of browsers or servers again when it fails: machines are busy. No other one: it may be a flake."""
    for item in items:
        is_slow = any(map(item.get_closest_marker, ("browser", "server"))) or _asks_for_a_server(item)
        if is_slow and not item.get_closest_marker("flaky"):
            item.add_marker(pytest.mark.flaky(reruns=2))


def _asks_for_a_server(item: pytest.Item) -> bool:
    params = getattr(item, "callspec", None)
    values = map(str, params.params.values()) if params else ()
    return not _SERVERS.isdisjoint(getattr(item, "fixturenames", ())) or any(
        value in ("clickhouse", "nats", "postgresql") for value in values
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
    """Fail a test in which the package logged an exception that the test does not expect, or none that it expects.

    Whatever raises while a request is decided on denies: without this, a test that expects nothing to be allowed would
    pass on a crash.
    """
    found, log = _Exceptions(), logging.getLogger("cookie_consent")
    log.addHandler(found)
    yield
    log.removeHandler(found)
    said = [logging.Formatter().format(record) for record in found.records]
    if request.node.get_closest_marker("logs_an_exception"):
        assert said, "an exception was expected to be logged"
    else:
        assert not said, "an exception was logged that no test expected:\n" + "\n".join(said)
