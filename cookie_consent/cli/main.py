"""The command line: writes and checks a policy file, and shows the package at work."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.resources import files
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from cookie_consent.base.process.locking import is_posix
from cookie_consent.cli import compact, forward, records, report, requests, serve_report, verify
from cookie_consent.cli.command import (
    FINDING,
    GOOD,
    INTERRUPTED,
    WRONG_USAGE,
    Command,
    complain,
    port_number,
    with_ids_joined,
)
from cookie_consent.policy.diff import EVERYBODY, announcement, asks_again, compare
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.exemptions import overdue
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.sinks.optional import is_interruption

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]

_DEFAULT = "consent.toml"
_STARTER = files("cookie_consent.policy") / "starter.toml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 good, 1 a finding, 2 wrong usage.

    Args:
        argv: the arguments after the program's name; those of the process where it is left out.

    Raises:
        SystemExit: the arguments are wrong (2), or ask for help (0), or SIGTERM came (143, as shells have it).
    """
    parser = argparse.ArgumentParser(prog="cookie-consent", description="Cookie consent for ASGI apps.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(own)
        own.set_defaults(run=command.run)
    arguments = parser.parse_args(with_ids_joined(sys.argv[1:] if argv is None else argv))
    run: Callable[[argparse.Namespace], int] = arguments.run
    _write_utf_8()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        if not is_interruption(error):
            raise
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _write_utf_8() -> None:
    """Write UTF-8 also where Windows has another encoding for pipes and files: what people wrote is in any language."""
    if not is_posix():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8")


def _end(number: int, _: FrameType | None) -> NoReturn:
    """End, and let everybody remove what is half done: temporary files have access records in them."""
    raise SystemExit(128 + number)


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=_DEFAULT, help="where to write it (default: %(default)s)")


def _init(arguments: argparse.Namespace) -> int:
    path = Path(arguments.path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_STARTER.read_text(encoding="utf-8"))
    except FileExistsError:
        return complain(f"{path} exists and stays as it is. Name another file.", WRONG_USAGE)
    except OSError as error:
        return complain(f"{path} cannot be written: {error.strerror}.", WRONG_USAGE)
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
    parser.add_argument(
        "--against",
        metavar="OLD",
        help="an earlier version of it: say what changed, whether it is material (1 if so) and whom it asks again",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _check(arguments: argparse.Namespace) -> int:
    path = arguments.policy or arguments.file
    try:
        policy = policy_in_use(path)
    except (PolicyError, OSError) as error:
        return _unusable(path, error, FINDING, as_json=arguments.json)
    summary = _summary(policy)
    said, status = _sentences(path, summary), GOOD
    if arguments.against is not None:
        try:
            old = Policy.load(arguments.against)
        except (PolicyError, OSError) as error:
            return _unusable(arguments.against, error, WRONG_USAGE, as_json=arguments.json)
        against = summary["against"] = _against(old, policy, _today())
        said = "\n\n".join([said, *_differences(arguments.against, against)])
        status = FINDING if any(change["material"] for change in against["changes"]) else GOOD
    sys.stderr.write(overdue([purpose.exempt for purpose in policy.purposes if purpose.exempt], _today()))
    print(json.dumps({"file": path, "valid": True, **summary}, ensure_ascii=False) if arguments.json else said)
    return status


def _today() -> date:
    return datetime.now(UTC).date()


def _unusable(path: str, error: PolicyError | OSError, wrong: int, *, as_json: bool) -> int:
    """Say why a policy cannot be used, and return the status: `wrong` if the file is there."""
    if isinstance(error, OSError):
        return complain(f"{path} cannot be read: {error.strerror}.", WRONG_USAGE)
    if as_json:
        print(json.dumps({"file": path, "valid": False, "error": str(error)}, ensure_ascii=False))
    return complain(str(error), wrong)


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


def _against(old: Policy, new: Policy, today: date) -> dict[str, Any]:
    return {
        "version": old.version,
        "changes": [asdict(change) for change in compare(old, new)],
        "asks_again": asks_again(old, new),
        "asks_again_without_history": asks_again(old, new, history=False),
        "announcement": announcement(old, new, today),
    }


def _differences(old: str, against: dict[str, Any]) -> list[str]:
    """Say what changed since an old file, in paragraphs."""
    if not against["changes"]:
        return [f"Nothing changed since {old}."]
    material_first = sorted(against["changes"], key=lambda change: not change["material"])
    marked = [f"- {'material: ' if change['material'] else ''}{change['what']}" for change in material_first]
    paragraphs = ["\n".join([f"Changed since {old}:", *marked]), _asked_again(old, against)]
    if against["announcement"]:
        paragraphs += ["Nothing announces it yet. To paste, with your own words:", against["announcement"]]
    return paragraphs


def _asked_again(old: str, against: dict[str, Any]) -> str:
    asked = [
        f'"{purpose}" of {"everybody" if whom == EVERYBODY else "those who had accepted it"}'
        for purpose, whom in against["asks_again"].items()
    ]
    said = [
        f"Asked again: {', '.join(asked)}. What was refused stays refused, without being asked."
        if asked
        else "Nobody is asked again."
    ]
    less = [f'"{id_}"' for id_ in against["asks_again_without_history"] if id_ not in against["asks_again"]]
    if less:
        said += [
            f"The middleware needs history=[{json.dumps(old, ensure_ascii=False)}] for that. Without it,",
            f"those who had accepted {', '.join(less)} are asked again too, for less than they had accepted.",
        ]
    return "\n".join(said)


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the walk, with 1 if a promise did not hold")
    parser.add_argument("--port", type=port_number, default=0, help="where the site listens (default: a free port)")
    parser.add_argument("--host", default="127.0.0.1", help="the address it listens on (default: %(default)s)")
    parser.add_argument("--report", metavar="FILE", type=Path, help="where the report page goes (default: a new file)")


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from cookie_consent.cli.demo import demo
    except ModuleNotFoundError as error:
        return complain(f'The demo needs {error.name}: pip install "cookie-consent[demo]"', WRONG_USAGE)
    try:
        kept = demo.run(
            once=arguments.once,
            port=arguments.port,
            host=arguments.host,
            out=sys.stdout,
            report_to=arguments.report,
        )
    except demo.NotStartedError as error:
        return complain(str(error), WRONG_USAGE)
    return GOOD if kept else FINDING


_COMMANDS = (
    Command("init", "Write a commented policy file to begin with.", _init_arguments, _init),
    Command("check", "Check a policy file.", _check_arguments, _check),
    Command("demo", "Start a small site and walk three visitors through it.", _demo_arguments, _demo),
    *records.COMMANDS,
    verify.VERIFY,
    *requests.COMMANDS,
    report.REPORT,
    serve_report.SERVE_REPORT,
    compact.COMPACT,
    *forward.COMMANDS,
)
