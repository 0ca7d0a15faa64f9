"""The command line: writes and checks a policy file, and shows the package at work."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookie_consent.policy import Policy
from cookie_consent.policy_error import PolicyError

GOOD, FINDING, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
"""The exit statuses; the last is what shells give a program that Ctrl-C ended."""

_DEFAULT = "consent.toml"
_STARTER = Path(__file__).with_name("starter.toml")


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it is called, what it takes and what it does.

    Args:
        name: its name on the command line.
        help: one line about it.
        arguments: adds its arguments.
        run: does it and returns the exit status.
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 good, 1 a finding, 2 wrong usage.

    Args:
        argv: the arguments after the program's name; those of the process where it is left out.

    Raises:
        SystemExit: the arguments are wrong (2), or ask for help (0).
    """
    parser = argparse.ArgumentParser(prog="cookie-consent", description="Cookie consent for ASGI apps.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(own)
        own.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=_DEFAULT, help="where to write it (default: %(default)s)")


def _init(arguments: argparse.Namespace) -> int:
    path = Path(arguments.path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_STARTER.read_text(encoding="utf-8"))
    except FileExistsError:
        return _complain(f"{path} exists and stays as it is. Name another file.", WRONG_USAGE)
    except OSError as error:
        return _complain(f"{path} cannot be written: {error.strerror}.", WRONG_USAGE)
    print(
        f"{path} is written. Replace what it says by what is true of your site, look it over with\n\n"
        f"    cookie-consent check {path}\n\n"
        "and add the middleware to the app:\n\n"
        f'    app.add_middleware(ConsentMiddleware, policy="{path}", secret_keys=[os.environ["CONSENT_KEY"]])'
    )
    return GOOD


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    file = parser.add_mutually_exclusive_group()
    file.add_argument("file", nargs="?", metavar="FILE", default=_DEFAULT, help="the policy (default: %(default)s)")
    file.add_argument("--policy", metavar="FILE", help="the same")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _check(arguments: argparse.Namespace) -> int:
    path = arguments.policy or arguments.file
    try:
        policy = Policy.load(path)
    except PolicyError as error:
        if arguments.json:
            print(json.dumps({"file": path, "valid": False, "error": str(error)}, ensure_ascii=False))
        return _complain(str(error), FINDING)
    except OSError as error:
        return _complain(f"{path} cannot be read: {error.strerror}.", WRONG_USAGE)
    summary = _summary(policy)
    if arguments.json:
        print(json.dumps({"file": path, "valid": True, **summary}, ensure_ascii=False))
    else:
        print(_sentences(path, summary))
    return GOOD


def _summary(policy: Policy) -> dict[str, Any]:
    return {
        "version": policy.version,
        "purposes": [purpose.id for purpose in policy.purposes],
        "cookies": [cookie.name for cookie in policy.cookies],
        "recipients": [recipient.id for recipient in policy.recipients],
        "features": [feature.id for feature in policy.features],
        "services": [service.id for service in policy.services],
        "languages": list(policy.site.languages),
    }


def _sentences(path: str, summary: dict[str, Any]) -> str:
    counted = (
        f"{len(names)} {kind if len(names) != 1 else kind.removesuffix('s')} ({', '.join(names)})"
        if names
        else f"no {kind}"
        for kind, names in summary.items()
        if kind != "version"
    )
    return f"{path} is good: version {summary['version']}, with {', '.join(counted)}."


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the walk, with 1 if a promise did not hold")
    parser.add_argument("--port", type=_port, default=0, help="where the site listens (default: a free port)")
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens on (default: %(default)s)")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from cookie_consent import demo
    except ModuleNotFoundError as error:
        return _complain(f'The demo needs {error.name}: pip install "cookie-consent[demo]"', WRONG_USAGE)
    try:
        kept = demo.run(once=arguments.once, port=arguments.port, host=arguments.host, out=sys.stdout)
    except demo.NotStartedError as error:
        return _complain(str(error), WRONG_USAGE)
    return GOOD if kept else FINDING


def _complain(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status


_COMMANDS = (
    Command("init", "Write a commented policy file to begin with.", _init_arguments, _init),
    Command("check", "Check a policy file.", _check_arguments, _check),
    Command("demo", "Start a small site and walk three visitors through it.", _demo_arguments, _demo),
)
