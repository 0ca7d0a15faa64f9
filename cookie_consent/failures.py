"""How it is logged that what keeps records has failed."""

from __future__ import annotations

import logging

_log = logging.getLogger("cookie_consent")


def log_failure(what: str, error: Exception) -> None:
    """Log in one line that a ledger or sink failed: while it is down all requests fail, and the disk may be full.

    Args:
        what: what came of it, as a sentence without its full stop.
        error: why. Where it came from is logged too where the level is DEBUG.
    """
    why = str(error).partition("\n")[0]
    _log.error("%s: %s %s", what, type(error).__name__, why, exc_info=_log.isEnabledFor(logging.DEBUG) and error)
