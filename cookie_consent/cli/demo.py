"""The `demo` command. It imports the demonstration only when it runs: that needs an extra of packages."""

from __future__ import annotations

import argparse
import logging
from importlib import import_module
from pathlib import Path

from cookie_consent.cli.frame import FINDING, GOOD, Command, UnusableError, option, port_number

_USED_LATER = ("sqlalchemy", "duckdb")
"""Packages of the extra that the site, or the report at the end, needs first. Without them, the walk would fail."""


def _demo(arguments: argparse.Namespace) -> int:
    for package in _USED_LATER:
        import_module(package)
    from cookie_consent.cli import demo_sites, demo_walk

    listen = (arguments.host, arguments.port)
    if arguments.file is None:
        logging.getLogger("cookie_consent.policy").setLevel(logging.ERROR)  # the site's own policy stays an example
        all_held = demo_walk.run(listen, once=arguments.once, report_to=arguments.report)
        return GOOD if all_held else FINDING
    if arguments.once or arguments.report:
        raise UnusableError("--once and --report belong to the walk, which has a policy of its own: leave FILE out.")
    demo_sites.serve_policy(arguments.file, listen)
    return GOOD


DEMO = Command(
    (
        option(
            "file",
            nargs="?",
            metavar="FILE",
            type=Path,
            help="a policy file to serve the site with, read again when it changes (default: the site's own, and a "
            "walk)",
        ),
        option("--once", action="store_true", help="end after the walk; with status 1 if a promise is broken"),
        option("--port", type=port_number, default=0, help="where the site listens (default: a free port)"),
        option("--host", default="127.0.0.1", help="the address it listens on (default: %(default)s)"),
        option("--report", metavar="FILE", type=Path, help="where the report page goes (default: a new file)"),
    ),
    _demo,
    "a promise did not hold",
    extra="demo",
)
