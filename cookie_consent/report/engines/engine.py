"""What computes figures where the records are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from cookie_consent.sinks import without_spill

Row = dict[str, Any]
Given = Mapping[str, int | str]

_MODULES = {
    "file": "duckdb_files",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "clickhouse": "clickhouse",
    "clickhouses": "clickhouse",
}
"""Scheme of an access log -> the module that reads it, for figures here and for records in `streams`."""


class UnreadableError(Exception):
    """An access log cannot be read; says why, or what would be right."""


class Engine(Protocol):
    """Runs the SQL texts of this folder on an access log."""

    def prepare(self, given: Given) -> None:
        """Get ready for a range: forget the tables of an earlier one."""

    def make(self, table: str, given: Given) -> None:
        """Make a temporary table by the text that has its name."""

    def rows(self, figure: str, given: Given) -> list[Row]:
        """Return the rows of the figure by the text that has its name."""


def open_engine(access_log: str | os.PathLike[str], memory: int | None = None) -> AbstractContextManager[Engine]:
    """Return the engine for an access log; everything that it raises is an UnreadableError.

    Args:
        access_log: the path of a JSON Lines file, or a URL: "file://…", "postgresql://…", "clickhouse://…".
        memory: how much may be taken to read files (bytes); None for a quarter of what there is, and 512 MB at least.
            A database has settings of its own for that.

    Raises:
        ValueError: such a URL cannot be read.
    """
    module, place = reader(access_log, __package__)
    opened: Callable[..., AbstractContextManager[Engine]] = module.opened
    return opened(place, memory=memory) if hasattr(module, "DuckDBFiles") else opened(place)


def reader(access_log: str | os.PathLike[str], package: str) -> tuple[ModuleType, str]:
    """Return the module that reads an access log, and the path or URL by which it does.

    Args:
        access_log: as `open_engine` takes it.
        package: which one the module is in.

    Raises:
        ValueError: such a URL cannot be read.
    """
    target = os.fspath(access_log)
    scheme, colon, _ = target.partition("://")
    module = _MODULES.get(scheme if colon else "file")
    if module is None:
        raise ValueError(
            f'access_log: "{scheme}://" cannot be read. Use the path of a JSON Lines file, "postgresql://…" or '
            '"clickhouse://…": where the records are kept in the end.'
        )
    place = without_spill(target)[0] if colon and scheme != "file" else target
    return import_module(f"{package}.{module}"), place


def missing(package: str, extra: str) -> UnreadableError:
    """Return the error of a package that has to be installed."""
    return UnreadableError(f'access_log: this needs {package}: pip install "cookie-consent[{extra}]"')
