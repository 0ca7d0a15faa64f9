"""The command line. The script `cookie-consent` calls `main`.

Internal: what is public is in docs/reference/public-api.md.
"""

from cookie_consent.cli.frame import FINDING, GOOD, INTERRUPTED, WRONG_USAGE
from cookie_consent.cli.main import main

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]
