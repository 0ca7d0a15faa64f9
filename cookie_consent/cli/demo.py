"""The `demo` command: a walk through the example site, or that site with the policy file of a user."""

from __future__ import annotations

import argparse
import logging
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory, mkstemp
from typing import TYPE_CHECKING, Any

from cookie_consent.cli.frame import FINDING, GOOD, Command, UnusableError, option, print_note
from cookie_consent.cli.local_server import HOST, listen_port, serve, serving, wait_for_ctrl_c
from cookie_consent.cli.main import main
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "registry", _PACKAGE.parent / "examples" / "registry")
"""The folder of the example site in a wheel, and in an editable install."""
_USED_LATER = ("httpx", "uvicorn", "sqlalchemy", "duckdb")
"""Packages of the extra that the site, or the report at the end, needs first. Without them, the walk would fail."""


def _demo(arguments: argparse.Namespace) -> int:
    for package in _USED_LATER:
        import_module(package)
    listen = (arguments.host, arguments.port)
    if arguments.file is None:
        logging.getLogger("cookie_consent.policy").setLevel(logging.ERROR)  # the site's own policy stays an example
        return GOOD if run(listen, once=arguments.once, report_to=arguments.report) else FINDING
    if arguments.once or arguments.report:
        raise UnusableError("--once and --report belong to the walk, which has a policy of its own: leave FILE out.")
    if not arguments.file.is_file():
        raise UnusableError(f"There is no file {arguments.file}.")
    with serving(_load("analytics")["app"]) as partner:
        # One key for all versions of the file: answers stay, and only what changed is asked again.
        environ = _environment(partner)
        create_app = _load("app")["create_app"]
        site = follow_file(arguments.file, lambda policy: create_app(environ, policy))
        serve(site, *listen, what=f"The site with {arguments.file}")
    return GOOD


def _load(name: str) -> dict[str, Any]:
    """Return the names of a module of the example site."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return run_path(str(folder / f"{name}.py"), run_name=f"cookie_consent_registry_{name}")


def _environment(partner: str) -> dict[str, str]:
    """Return what the site reads of the environment. The partner has another host: ports make no other site."""
    return {"REGISTRY_KEY": secrets.token_urlsafe(32), "REGISTRY_PARTNER": partner.replace("127.0.0.1", "localhost")}


def run(
    listen: tuple[str, int], *, once: bool, report_to: Path | None, wait: Callable[[float], object] = time.sleep
) -> bool:
    """Serve the site for the walk, or else until Ctrl-C; return whether all promises held."""
    walk = _load("walk")
    with TemporaryDirectory(prefix="cookie-consent-") as folder, serving(_load("analytics")["app"]) as partner:
        access_log = Path(folder, "access.jsonl")
        ledger = f"sqlite:///{Path(folder, 'consent.db')}"
        kept = {"REGISTRY_ACCESS_LOG": str(access_log), "REGISTRY_LEDGER": ledger, "REGISTRY_ANALYSTS": "analyst"}
        with serving(_load("app")["create_app"](_environment(partner) | kept), *listen) as address:
            print(f"The registry site answers at {address}. Three visitors walk through it ...\n", flush=True)
            all_held: bool = walk["print_outcomes"](walk["walk_all"](address, access_log))
            print("\nThe ledger, verified:")
            all_held &= main(["verify", "--ledger", ledger]) == GOOD
            if not once:
                print(f"\nThe site goes on at {address} until Ctrl-C.\nThe report, live: {address}/report, once you")
                print(f'have signed in as "analyst" at {address}/account.', flush=True)
                wait_for_ctrl_c(wait)
        report_to = report_to or Path(mkstemp(prefix="cookie-consent-report-", suffix=".html")[1])
        print("\nThe report of these visits, to open in a browser:")
        options = ("--threshold", "1", "--from", "yesterday", "--time-zone", "UTC")
        main(["report", "--access-log", str(access_log), "--html", str(report_to), *options])
    return all_held


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
        listen_port(0),
        HOST,
        option("--report", metavar="FILE", type=Path, help="where the report page goes (default: a new file)"),
    ),
    _demo,
    "a promise did not hold",
    extra="demo",
)
