"""What the endpoints refuse, and how they say it (RFC 9457)."""

from __future__ import annotations

import math
from http import HTTPStatus


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """A request that an endpoint refuses. Nothing is set and nothing is lost.

    Args:
        status: the HTTP status code.
        detail: what is wrong, for developers, in English.
        text: the key of the text that visitors read.
        headers: further header fields.

    Attributes:
        language: the language that the visitor was shown, if the request said it.
        next: where the visitor wanted to go on, if the request said it.
    """

    def __init__(
        self, status: int, detail: str, text: str = "error_malformed", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.text, self.headers = status, detail, text, headers or {}
        self.language = self.next = ""

    def shown_in(self, language: str) -> Problem:
        """Return this problem, to be told in a language."""
        self.language = language
        return self

    def document(self) -> dict[str, object]:
        """Return the problem details object."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }


def too_many(wait: float, detail: str) -> Problem:
    """Return the refusal of what comes too often.

    Args:
        wait: in how many seconds it may come again.
        detail: what the limit is.
    """
    return Problem(429, detail, "error_too_many", {"retry-after": str(math.ceil(wait))})
