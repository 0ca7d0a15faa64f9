"""When pytest-cov does not measure: while tests are collected, and in the fixtures of tests with the mark `no_cover`.

Measuring doubles the time of both. pytest-cov itself heeds the mark only in the test's own function.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

import cookie_consent


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Measure what the package does when it is imported, but not what tests do when they are collected."""
    if _controller(session.config):
        for module in pkgutil.walk_packages(cookie_consent.__path__, "cookie_consent."):
            if "migrations" not in module.name:  # which Alembic loads
                import_module(module.name)
    with _not_measured(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Set up the fixtures of a test."""
    if not item.get_closest_marker("no_cover"):
        return (yield)
    with _not_measured(item.config):
        return (yield)


@contextmanager
def _not_measured(config: pytest.Config) -> Iterator[None]:
    controller = _controller(config)
    if controller is None:
        yield
        return
    controller.pause()
    try:
        yield
    finally:
        controller.resume()


def _controller(config: pytest.Config) -> Any:
    """Return what measures in this process. Where workers run the tests, nothing is measured around them."""
    if config.getoption("dist", "no") != "no":
        return None
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)
