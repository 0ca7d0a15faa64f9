"""The page on the command line, from the parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from cookie_consent.cli.command import FINDING, GOOD, INTERRUPTED, WRONG_USAGE
from cookie_consent.cli.listed import COMMANDS, Listed
from cookie_consent.cli.options import _VARIABLES
from cookie_consent.cli.serve_report import PASSWORD
from cookie_consent.cli.verify import _KEYS
from tests.support.reference.markdown import code, joined, link, prose, sentence, table

_TITLE = """\
# Commands

Every command of `cookie-consent`, with its options and its exit status. `cookie-consent COMMAND --help` says the same.
`cookie-consent --version` prints the installed version.
Arguments in capitals stand for what you write."""
_STATUSES = (
    (GOOD, "good"),
    (FINDING, "a finding; each command below says which"),
    (WRONG_USAGE, "wrong usage: an unknown option, a file or a database that cannot be used"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
    (143, "ended by SIGTERM, as shells report it"),
)
_VARIABLES_READ = (
    *((variable, f"the value of `--{option.replace('_', '-')}` where it is not given") for option, variable in
      _VARIABLES.items()),
    (_KEYS, "the keys that sign, one on each line, oldest first: for the roots of `verify`. What `init` prints reads "
     "the key of the middleware from it, too"),
    (PASSWORD, "the password of `serve-report`, without `--password-file`"),
)  # fmt: skip
READ_ON = {
    "init": "policy.md",
    "check": "policy.md#when-you-change-it",
    "demo": "gallery/README.md",
    "playground": "playground.md",
    "records": "proof.md",
    "export": "own-tools.md",
    "erase": "proof.md",
    "purge": "proof.md#retention",
    "verify": "proof.md#what-shows-that-a-record-was-altered",
    "requests": "proof.md#the-help-desk",
    "report": "analytics.md",
    "serve-report": "analytics.md",
    "compact": "keeping-records.md",
}
"""Command -> the page that explains it."""
_FEW = 4


def page() -> str:
    overview = table(
        ("command", "what it does"),
        ((f"[`{command.name}`](#{command.name})", prose(command.help)) for command in COMMANDS),
    )
    return joined(
        _TITLE,
        overview,
        "## Exit status",
        table(("status", "what it says"), ((f"`{status}`", said) for status, said in _STATUSES)),
        "## Environment variables",
        "The commands read these. The middleware reads none: your app passes what it needs.",
        table(("variable", "what it is"), ((f"`{name}`", said) for name, said in _VARIABLES_READ)),
        *(_section(command) for command in COMMANDS),
    )


def parser_of(listed: Listed) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    parser = argparse.ArgumentParser(prog=f"cookie-consent {listed.name}", add_help=False)
    listed.command().arguments(parser)
    return parser


def _section(listed: Listed) -> str:
    target, command = READ_ON.get(listed.name), listed.command()
    parser = parser_of(listed)
    return joined(
        f"## `{listed.name}`",
        sentence(listed.help),
        *_arguments(parser._actions),
        f"Status {FINDING} if {prose(command.finding)}." if command.finding else "",
        f"Read on: {link(_title(target), target)}." if target else "",
    )


def _title(target: str) -> str:
    return {
        "policy.md": "the policy file",
        "proof.md": "proof",
        "analytics.md": "reports",
        "keeping-records.md": "keeping and erasing records",
        "own-tools.md": "records in your own tools",
        "gallery/README.md": "the gallery",
        "playground.md": "the playground",
    }[target.partition("#")[0]]


def _arguments(actions: Iterable[argparse.Action]) -> Iterator[str]:
    plain = [action for action in actions if not isinstance(action, argparse._SubParsersAction)]
    rows = [(_usage(action), _meaning(action)) for action in plain if action.dest != "help"]
    if rows:
        yield table(("argument", "what it is"), rows)
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                yield f"### `{parser.prog.split()[1]} {name}`"
                yield sentence(parser.description or "")
                yield from _arguments(parser._actions)


def _usage(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or _choices(action) or action.dest.upper())
    return ", ".join(code(f"{spelling} {value}".strip()) for spelling in action.option_strings or [""])


def _choices(action: argparse.Action) -> str:
    """Return the values of an option, if they are few enough to stand behind it."""
    names = [*map(str, action.choices or ())]
    return "|".join(names) if len(names) <= _FEW else "NAME" if names else ""


def _meaning(action: argparse.Action) -> str:
    said = prose((action.help or "") % {**vars(action), "prog": ""})
    if _choices(action) == "NAME":
        said += f": {', '.join(map(code, map(str, action.choices or ())))}"
    return f"{said}{' (needed)' if action.required and action.option_strings else ''}"
