"""Which tests run: all in the full matrix, otherwise a selection.

The full matrix needs the extra `full` of packages; the selection runs with the extra `test` alone.

`--full-matrix` or FULL_MATRIX=1 runs the full matrix. Otherwise pytest counts the other tests as "deselected". Two
marks say which tests may be left out:

- `full_matrix`: the test, or this value of a parameter, runs in the full matrix only.
- `each_value`: only so many combinations of the parameters run that each value comes once. A test without parameters
  runs.
  `each_value(all_of="Chromium")` also keeps all combinations with this word in their id.
  `each_value(at_most=1)` keeps at most so many. They have the values that the tests before used least, so that tests
  with the same parameters share the values. At a test, the mark goes before that of its module.

`--one-row` runs each test with one combination of its parameters, chosen as by `each_value(at_most=1)`. It is for other
Pythons: what differs there depends on the code that runs, and seldom on the values that it gets.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.browsers.matrix import Value, rows_with_each_value

NEED_THE_EXTRA_FULL = (
    "tests/browser/test_firefox.py",
    "tests/browser/test_html_checker.py",
    "tests/browser/test_nicegui.py",
    "tests/docs/test_site.py",
    "tests/docs/test_wsgi_page.py",
    "tests/frameworks/test_nicegui.py",
    "tests/frameworks/test_other_frameworks.py",
)
"""Files that import what only the extra `full` installs. They are collected in the full matrix only."""
ONE_ROW = pytest.mark.each_value(at_most=1).mark


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--full-matrix` and `--one-row`."""
    parser.addoption("--one-row", action="store_true", help="run each test with one combination of its parameters")
    parser.addoption(
        "--full-matrix",
        action="store_true",
        default=os.environ.get("FULL_MATRIX") == "1",
        help="run all tests in all combinations (or set FULL_MATRIX=1)",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that need the extra `full`, outside the full matrix."""
    needs_full = collection_path.as_posix().endswith(NEED_THE_EXTRA_FULL)
    return True if needs_full and not config.getoption("--full-matrix") else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Deselect the tests that run in the full matrix only; of those that `-m` leaves, the other rows."""
    if not config.getoption("--full-matrix"):
        here = [item for item in items if not item.get_closest_marker("full_matrix")]
        _keep(config, items, _selected(here, lambda group: group[0].get_closest_marker("each_value")))
    yield
    if config.getoption("--one-row"):
        _keep(config, items, _selected(items, lambda _: ONE_ROW))


def _keep(config: pytest.Config, items: list[pytest.Item], chosen: Iterable[pytest.Item]) -> None:
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _selected(
    items: Iterable[pytest.Item], mark_of: Callable[[Sequence[pytest.Item]], pytest.Mark | None]
) -> Iterator[pytest.Item]:
    """Yield the tests that run, of each test those rows that its mark `each_value` leaves."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    used: Counter[Value] = Counter()
    for group in groups.values():
        mark = mark_of(group)
        if mark is None or not values_of(group[0]):
            yield from group
            continue
        all_of, at_most = mark.kwargs.get("all_of"), mark.kwargs.get("at_most")
        kept = [item for item in group if all_of and all_of in item.nodeid.partition("[")[2]]
        yield from kept
        by_row = {values_of(item): item for item in group}
        for row in rows_with_each_value(list(by_row), given=map(values_of, kept), used=used, at_most=at_most):
            yield by_row[row]


def values_of(item: pytest.Item) -> frozenset[Value]:
    """Return the parameters of a test with their values."""
    callspec = getattr(item, "callspec", None)
    return frozenset((name, repr(value)) for name, value in (callspec.params.items() if callspec else ()))
