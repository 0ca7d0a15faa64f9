"""The `serve-report` command: serves a live report on this machine, or to people with a password."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cookie_consent.cli.frame import (
    ACCESS_LOG,
    Command,
    UnusableError,
    option,
    print_note,
    required_store,
)
from cookie_consent.cli.local_server import HOST, listen_port, serve
from cookie_consent.cli.report import MEMORY, POLICY, TIME_ZONE, settings_of
from cookie_consent.report.engines.engine import open_engine, require_files

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PASSWORD = "CONSENT_REPORT_PASSWORD"  # noqa: S105 (the name of an environment variable)


def _serve(arguments: argparse.Namespace) -> None:
    access_log = required_store(arguments, "access_log")
    # Opened once, so that errors show at start-up. It may still be empty.
    with open_engine(access_log):
        require_files(access_log, may_be_new=True)
    settings = settings_of(arguments)
    password = _password(arguments.password_file)
    # Here, because arguments are checked before the web framework is imported.
    from cookie_consent.report.live.app import report_app

    app = report_app(access_log, authorize=lambda request: True, policy=settings, memory=arguments.memory)
    app = _guarded(app, arguments.host, password)
    serve(app, arguments.host, arguments.port, what="The report")


def _password(file: str | None) -> str:
    """Return the configured password; "" if there is none."""
    from cookie_consent.report.live.guards import SHORTEST_PASSWORD

    password = os.environ.get(PASSWORD, "")
    if file is not None:
        try:
            password = Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableError(f"--password-file: {file} cannot be read as a text: {error}") from None
    if (password or file is not None) and len(password) < SHORTEST_PASSWORD:
        raise UnusableError(f"The password has to have {SHORTEST_PASSWORD} characters at least.")
    return password


def _guarded(app: ASGIApp, host: str, password: str) -> ASGIApp:
    """Return the report app behind its guards: the password if set, and a check of the Host field if on loopback."""
    from cookie_consent.report.live.guards import is_loopback, require_loopback, require_password

    if password:
        app = require_password(app, password)
    if is_loopback(host):
        return require_loopback(app)
    if not password:
        raise UnusableError(
            f"Others than this machine can connect to {host}: that needs a password. Write it into a file and name "
            f"that by --password-file, or set {PASSWORD}."
        )
    print_note("Over http a password can be read on its way: put a proxy that speaks https before this port.")
    return app


SERVE_REPORT = Command(
    (
        ACCESS_LOG,
        POLICY,
        TIME_ZONE,
        MEMORY,
        HOST,
        listen_port(8765),
        option(
            "--password-file",
            metavar="FILE",
            help="a file whose first line is the password: required if other machines can connect, recommended if "
            f"others can log in to this one (default: ${PASSWORD})",
        ),
    ),
    _serve,
    extra="analytics",
)
