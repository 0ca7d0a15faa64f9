"""Logs advice when a page comes compressed from the app, so that nothing can be put into it."""

from __future__ import annotations

import logging

from cookie_consent.base.first_seen import shown

_log = logging.getLogger("cookie_consent")


class CompressionAdvice:
    """Logs the first page that came compressed. What compresses one page compresses the others too."""

    def __init__(self) -> None:
        self._was_given = False

    def log_advice(self, path: str) -> None:
        """Log advice for a page at a path, the first time."""
        if self._was_given:
            return
        self._was_given = True
        _log.warning(
            'The page "%s" came compressed from the app, so it lacks the banner or the link to the settings page, and '
            "other pages may too. Compress outside: call app.add_middleware(GZipMiddleware) after "
            "app.add_middleware(ConsentMiddleware, ...), or let the proxy compress.",
            shown(path),
        )
