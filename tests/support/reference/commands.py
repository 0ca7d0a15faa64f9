"""The page on the command line, from the parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from cookie_consent.cli.frame import FINDING, GOOD, INTERRUPTED, WRONG_USAGE
from cookie_consent.cli.main import COMMANDS, Listed
from tests.support.reference.markdown import joined, page_of, prose, sentence, table

_TITLE = f"""\
# Commands

`cookie-consent COMMAND --help` says the same. `cookie-consent --version` prints the installed version. Arguments in
capitals stand for what you write.

| exit status | what it says |
| --- | --- |
| `{GOOD}` | good |
| `{FINDING}` | a finding; each command below says which |
| `{WRONG_USAGE}` | wrong usage: an unknown option, a file or a database that cannot be used |
| `{INTERRUPTED}`, `143` | interrupted by Ctrl-C; ended by SIGTERM, as shells report it |

The commands read these variables of the environment. The middleware reads none: your app passes what it needs.

| variable | what it is |
| --- | --- |
| `CONSENT_LEDGER`, `CONSENT_ACCESS_LOG` | the values of `--ledger` and `--access-log` where they are not given |
| `CONSENT_KEY` | the keys that sign, one on each line, oldest first: for the roots of `verify` |
| `CONSENT_REPORT_PASSWORD` | the password of `serve-report`, without `--password-file` |"""
_FEW = 4


def page() -> str:
    return page_of(_TITLE, *map(_section, COMMANDS))


def _section(listed: Listed) -> str:
    command = listed.load()
    parser = argparse.ArgumentParser(prog=f"cookie-consent {listed.name}", add_help=False)
    command.add_to(parser)
    finding = f"Status {FINDING} if {prose(command.finding)}." if command.finding else ""
    return joined(f"## `{listed.name}`", f"{sentence(listed.help)} {finding}", *_arguments(parser._actions))


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
    return ", ".join(f"`{spelling} {value}`".replace("` ", "`") for spelling in action.option_strings or [""])


def _choices(action: argparse.Action) -> str:
    """Return the values of an option, if they are few enough to stand behind it."""
    names = [*map(str, action.choices or ())]
    return "|".join(names) if len(names) <= _FEW else "NAME" if names else ""


def _meaning(action: argparse.Action) -> str:
    said = prose((action.help or "") % {**vars(action), "prog": ""})
    if _choices(action) == "NAME":
        said += f": {', '.join(f'`{name}`' for name in action.choices or ())}"
    return f"{said}{' (needed)' if action.required and action.option_strings else ''}"
