"""Errors of the endpoints, as problem details (RFC 9457)."""

from __future__ import annotations

import math
from http import HTTPStatus


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """An endpoint refuses a request.

    Args:
        status: the HTTP status code.
        detail: what is wrong, for developers, in English.
        text: the name of the text for visitors; "" for the one that says that there is no such page, or that the answer
            could not be understood.
        headers: additional header fields of the response.

    Attributes:
        language: the language that the visitor was shown, or "" if the request did not say.
        next: the path that the visitor wanted to return to, or "".
        fields: further header fields of the response, such as cookies.
    """

    def __init__(self, status: int, detail: str, text: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        text = text or ("error_not_found" if status in (404, 405) else "error_malformed")
        self.status, self.detail, self.text, self.headers = status, detail, text, headers or {}
        self.language = self.next = ""
        self.fields: list[tuple[bytes, bytes]] = []

    def document(self) -> dict[str, object]:
        """Return the problem details object of RFC 9457."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }


def too_many(wait: float, detail: str) -> Problem:
    """Return the problem for a request that comes too often.

    Args:
        wait: seconds until it is allowed again.
        detail: what the limit is.
    """
    return Problem(429, detail, "error_too_many", {"retry-after": str(math.ceil(wait))})
