"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.postgres import NoPostgresError, PostgresServer, PrivateServer, postgres_server, private_server
from tests.surfaces import museum_site
from tests.visitor_browser import CHROMIUM_OPTIONS, LONGEST_WAIT, Sites, Visitor, plain_site, registry_sites

# A busy machine is no bug: what a test waits for it waits for by an event, and no example is too slow.
hypothesis.settings.register_profile(
    "default-here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
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


expect.set_options(timeout=LONGEST_WAIT * 1000)


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one module. Not for longer: as long as Playwright runs, asyncio.run() cannot."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The registry site and its partner."""
    with registry_sites(tmp_path_factory.mktemp("registry")) as sites:
        yield sites


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `browser_site`."""
    with plain_site(tmp_path_factory.mktemp("plain")) as sites:
        yield sites


@pytest.fixture(scope="session")
def museum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `three_language_site`."""
    with museum_site(tmp_path_factory.mktemp("museum")) as sites:
        yield sites


@pytest.fixture
def arrive(browser: Browser, sites: Sites) -> Iterator[Callable[..., Visitor]]:
    """Lets somebody come to the sites with a new browser. No script may have failed when all leave."""
    visitors: list[Visitor] = []

    def arrive(**options: Any) -> Visitor:
        scripts = options.get("java_script_enabled", True)
        visitors.append(Visitor(browser.new_context(**options), sites, scripts=scripts))
        return visitors[-1]

    yield arrive
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []


@contextmanager
def needs_postgres() -> Iterator[None]:
    """Skip the tests that need a server where there is none; in continuous integration that is a failure."""
    try:
        yield
    except NoPostgresError as error:
        if os.environ.get("CI") == "true":
            raise pytest.fail.Exception(f"{error} With CI=true this is not skipped.", pytrace=False) from None
        raise pytest.skip.Exception(str(error)) from None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started for the first test that asks for it."""
    with needs_postgres(), postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    yield postgres.new_database()
    postgres.drop_databases()


@pytest.fixture(scope="session")
def stoppable_postgres() -> Iterator[PrivateServer]:
    """The server of `private_postgres`, whatever state a test leaves it in."""
    with needs_postgres(), private_server() as server:
        yield server


@pytest.fixture
def private_postgres(stoppable_postgres: PrivateServer) -> Iterator[PrivateServer]:
    """A server that runs, and that the test may stop, kill and start. No other test uses it meanwhile."""
    yield stoppable_postgres
    if not stoppable_postgres.running:
        stoppable_postgres.start()
    stoppable_postgres.drop_databases()
