"""The command line. The script `cookie-consent` calls `main`."""

from cookie_consent.cli.main import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]
