"""The `demo` command: a walk through the example site, or that site with the policy file of a user."""

from __future__ import annotations

import argparse
import logging
import secrets
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cookie_consent.cli.frame import FINDING, GOOD, Command, UnusableError, option, port_number, print_note
from cookie_consent.cli.local_server import as_another_site, registry_module, serve, serving
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_USED_LATER = ("uvicorn", "sqlalchemy", "duckdb")
"""Packages of the extra that the site, or the report at the end, needs first. Without them, the walk would fail."""


def _demo(arguments: argparse.Namespace) -> int:
    for package in _USED_LATER:
        import_module(package)
    from cookie_consent.cli import demo_walk

    listen = (arguments.host, arguments.port)
    if arguments.file is None:
        logging.getLogger("cookie_consent.policy").setLevel(logging.ERROR)  # the site's own policy stays an example
        all_held = demo_walk.run(listen, once=arguments.once, report_to=arguments.report)
        return GOOD if all_held else FINDING
    if arguments.once or arguments.report:
        raise UnusableError("--once and --report belong to the walk, which has a policy of its own: leave FILE out.")
    if not arguments.file.is_file():
        raise UnusableError(f"There is no file {arguments.file}.")
    with serving(registry_module("analytics").app) as partner:
        # One key for all versions of the file: answers stay, and only what changed is asked again.
        environ = {"REGISTRY_KEY": secrets.token_urlsafe(32), "REGISTRY_PARTNER": as_another_site(partner)}
        create_app = registry_module("app").create_app
        site = follow_file(arguments.file, lambda policy: create_app(environ, policy))
        serve(site, *listen, what=f"The site with {arguments.file}")
    return GOOD


def follow_file(file: Path, make_site: Callable[[Policy], ASGIApp]) -> ASGIApp:
    """Return an app that is made again when its policy file has changed, and shows what is wrong with the file."""
    from starlette.responses import PlainTextResponse

    @lru_cache(maxsize=1)
    def site_of(changed_at: int) -> ASGIApp:
        try:
            return make_site(Policy.load(file))
        except (OSError, PolicyError) as error:
            print_note(str(error))
            return PlainTextResponse(f"{error}\n", status_code=500, headers={"cache-control": "no-store"})

    def site_now() -> ASGIApp:
        return site_of(file.stat().st_mtime_ns if file.exists() else 0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await site_now()(scope, receive, send)

    site_now()
    return app


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
