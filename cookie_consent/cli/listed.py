"""The commands of the script: their names, a line about each, and where they are.

A command is imported when it is named on the command line, so that none waits for the packages of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookie_consent.cli.command import Command


@dataclass(frozen=True, slots=True)
class Listed:
    """A command of the script, not yet imported.

    Args:
        name: its name on the command line.
        help: one line about it.
        module: the module in `cookie_consent.cli` that defines it, under its name in capitals.
    """

    name: str
    help: str
    module: str

    def command(self) -> Command:
        """Import the command, and return it."""
        command: Command = getattr(
            import_module(f"cookie_consent.cli.{self.module}"), self.name.upper().replace("-", "_")
        )
        return command


COMMANDS = (
    Listed("init", "Write a commented policy file to begin with.", "init"),
    Listed("check", "Check a policy file.", "check"),
    Listed("demo", "Start a small site and walk three visitors through it, or show your policy.", "demo.command"),
    Listed("records", "List consent records, or print the text that was shown for one.", "records"),
    Listed("export", "Print everything that is stored under an id, or the whole access log.", "export"),
    Listed("erase", "Erase the access records of a visitor, and say what stays.", "removal"),
    Listed("purge", "Remove expired records and requests. Run it by cron, on any number of hosts.", "removal"),
    Listed(
        "verify", "Verify that no consent record, and nothing that one cites, was changed, left out or added.", "verify"
    ),
    Listed("requests", "List, answer and close what visitors ask of the site.", "requests"),
    Listed("report", "Show who came, what they read, and how many say yes.", "report"),
    Listed("serve-report", "Show the report of an access log live, in a browser.", "serve_report"),
    Listed(
        "compact",
        "Turn the closed files of an access log into Parquet files. Run it by cron, while the site runs.",
        "compact",
    ),
)
"""In the order of the help."""
