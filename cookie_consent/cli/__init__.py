"""The command line. `main` is what the script `cookie-consent` runs."""

from cookie_consent.cli.main import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]
