"""The `init` command: writes a first policy file."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from cookie_consent.cli.command import GOOD, POLICY_FILE, WRONG_USAGE, Command, print_problem
from cookie_consent.policy.starter import LANGUAGES, PLACEHOLDER, language_tags, starter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=POLICY_FILE, help="where to write it (default: %(default)s)")
    parser.add_argument(
        "--languages",
        metavar="TAGS",
        type=_languages,
        default=[*LANGUAGES],
        help=f"the languages that the site offers, the prevailing one first (default: {','.join(LANGUAGES)})",
    )


def _languages(text: str) -> list[str]:
    try:
        return language_tags(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _init(arguments: argparse.Namespace) -> int:
    path, text = Path(arguments.path), starter(arguments.languages, datetime.now().astimezone().date())
    try:
        # Mode "x": a policy that exists is never overwritten, not even between a check and the opening.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return print_problem(f"{path} exists and stays as it is. Name another file.", WRONG_USAGE)
    except OSError as error:
        return print_problem(f"{path} cannot be written: {error.strerror}.", WRONG_USAGE)
    # The comments of the file have it too.
    to_write = f' Write each text that begins with "{PLACEHOLDER}".' if f'= "{PLACEHOLDER} ' in text else ""
    print(
        f"{path} is written.{to_write} Replace what it says by what is true of your site, look it over with\n\n"
        f"    cookie-consent check {path}\n\n"
        "and add the middleware to the app:\n\n"
        f'    app.add_middleware(ConsentMiddleware, policy="{path}", '
        'secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce")'
    )
    return GOOD


INIT = Command(_arguments, _init)
