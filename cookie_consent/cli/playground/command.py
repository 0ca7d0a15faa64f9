"""The `playground` command. It imports the playground only when it runs."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from cookie_consent.cli.command import GOOD, Command, UnusableError, guarded, port_number
from cookie_consent.cli.local_server import serve
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.toml_text import read_text

LOOPBACK = "127.0.0.1"
_EXAMPLE = files(__package__) / "example.toml"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the policy to start with, which stays as it is (default: an example)"
    )
    parser.add_argument("--port", type=port_number, default=0, help="where it listens (default: a free port)")


def _playground(arguments: argparse.Namespace) -> int:
    policy = _EXAMPLE.read_text(encoding="utf-8") if arguments.file is None else _policy(arguments.file)
    with TemporaryDirectory(prefix="cookie-consent-") as folder:
        # Here, because other commands should not wait for the web framework.
        from cookie_consent.cli.playground.app import playground_app

        app = playground_app(policy, Path(folder))
        serve(app, LOOPBACK, arguments.port, what="The playground", command="playground", extra="demo")
    return GOOD


def _policy(file: str) -> str:
    """Return the text of a policy file, whether it is a good policy or not."""
    try:
        return read_text(file)
    except PolicyError as error:
        raise UnusableError(str(error.at(file=file))) from None
    except OSError as error:
        raise UnusableError(f"{file} cannot be read: {error.strerror}.") from None


PLAYGROUND = Command(
    _arguments,
    guarded(_playground),
)
