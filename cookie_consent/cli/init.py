"""The `init` command: writes a first policy file."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from cookie_consent.cli.command import GOOD, POLICY_FILE, WRONG_USAGE, Command, print_problem

_STARTER = files("cookie_consent.policy") / "starter.toml"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=POLICY_FILE, help="where to write it (default: %(default)s)")


def _init(arguments: argparse.Namespace) -> int:
    path = Path(arguments.path)
    try:
        # Mode "x": a policy that exists is never overwritten, not even between a check and the opening.
        with path.open("x", encoding="utf-8") as file:
            file.write(_STARTER.read_text(encoding="utf-8"))
    except FileExistsError:
        return print_problem(f"{path} exists and stays as it is. Name another file.", WRONG_USAGE)
    except OSError as error:
        return print_problem(f"{path} cannot be written: {error.strerror}.", WRONG_USAGE)
    print(
        f"{path} is written. Replace what it says by what is true of your site, look it over with\n\n"
        f"    cookie-consent check {path}\n\n"
        "and add the middleware to the app:\n\n"
        f'    app.add_middleware(ConsentMiddleware, policy="{path}", secret_keys=[os.environ["CONSENT_KEY"]])'
    )
    return GOOD


INIT = Command("init", "Write a commented policy file to begin with.", _arguments, _init)
