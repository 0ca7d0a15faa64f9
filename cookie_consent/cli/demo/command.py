"""The `demo` command. It imports the demonstration only when it runs: that needs an extra of packages."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from cookie_consent.cli.command import FINDING, GOOD, WRONG_USAGE, Command, port_number, print_problem

_USED_LATER = ("sqlalchemy", "alembic", "duckdb")
"""Packages of the extra that the site, or the report at the end, needs first. Without them, the walk would fail."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once", action="store_true", help="end after the walk; the exit status is 1 if a promise did not hold"
    )
    parser.add_argument("--port", type=port_number, default=0, help="where the site listens (default: a free port)")
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens on (default: %(default)s)")
    parser.add_argument("--report", metavar="FILE", type=Path, help="where the report page goes (default: a new file)")


def _demo(arguments: argparse.Namespace) -> int:
    try:
        for package in _USED_LATER:
            import_module(package)
        from cookie_consent.cli.demo import demo
    except ModuleNotFoundError as error:
        return print_problem(f'The demo needs {error.name}: pip install "cookie-consent[demo]"', WRONG_USAGE)
    try:
        all_held = demo.run(
            once=arguments.once,
            port=arguments.port,
            host=arguments.host,
            out=sys.stdout,
            report_to=arguments.report,
        )
    except demo.NotStartedError as error:
        return print_problem(str(error), WRONG_USAGE)
    return GOOD if all_held else FINDING


DEMO = Command(_arguments, _demo, "a promise did not hold")
