"""The command line. The script `cookie-consent` calls `main`.

Internal: what is public is in docs/reference/public-api.md.
"""

from cookie_consent.cli.main import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]
