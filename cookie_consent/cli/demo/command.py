"""The `demo` command. It imports the demonstration only when it runs: that needs an extra of packages."""

from __future__ import annotations

import argparse
import logging
from importlib import import_module
from pathlib import Path

from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, port_number

_USED_LATER = ("sqlalchemy", "duckdb")
"""Packages of the extra that the site, or the report at the end, needs first. Without them, the walk would fail."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    shown = "a policy file to serve the site with, read again when it changes (default: the site's own, and a walk)"
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help=shown)
    parser.add_argument("--once", action="store_true", help="end after the walk; with status 1 if a promise is broken")
    parser.add_argument("--port", type=port_number, default=0, help="where the site listens (default: a free port)")
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens on (default: %(default)s)")
    parser.add_argument("--report", metavar="FILE", type=Path, help="where the report page goes (default: a new file)")


def _demo(arguments: argparse.Namespace) -> int:
    try:
        for package in _USED_LATER:
            import_module(package)
        from cookie_consent.cli.demo import sites, walk
    except ModuleNotFoundError as error:
        raise UnusableError(f'The demo needs {error.name}: pip install "cookie-consent[demo]"') from None
    listen = (arguments.host, arguments.port)
    if arguments.file is None:
        logging.getLogger("cookie_consent.policy").setLevel(logging.ERROR)  # the site's own policy stays an example
        all_held = walk.run(listen, once=arguments.once, report_to=arguments.report)
        return GOOD if all_held else FINDING
    if arguments.once or arguments.report:
        raise UnusableError("--once and --report belong to the walk, which has a policy of its own: leave FILE out.")
    sites.serve_policy(arguments.file, listen)
    return GOOD


DEMO = Command(_arguments, guarded(_demo), "a promise did not hold")
