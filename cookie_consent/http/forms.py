"""Reads form and JSON bodies, and says what is wrong with a request as problem details (RFC 9457)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """An endpoint refuses a request.

    Args:
        status: the HTTP status code.
        detail: what is wrong, for developers, in English.
        text: the name of the text for visitors; "" for the one that says that there is no such page, or that the answer
            could not be understood.
        fields: further header fields of the response.
    """

    def __init__(self, status: int, detail: str, text: str = "", fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.text = text or ("error_not_found" if status in (404, 405) else "error_malformed")
        self.fields = fields

    def document(self) -> dict[str, object]:
        """Return the problem details object of RFC 9457."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }


def make_rate_problem(wait: float, detail: str) -> Problem:
    """Return the problem for a request that comes too often, and is allowed again after so many seconds."""
    return Problem(429, detail, "error_too_many", [(b"retry-after", b"%d" % math.ceil(wait))])


_UNREADABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"  # categories Cc but \t and \n, Cs, Zl, Zp
    "\u202a-\u202e\u2066-\u2069]"
)
"""The last change the direction of the text that follows, even of other people's (Unicode Standard Annex 9)."""
_MAX_FIELDS = 200
_LARGEST_BODY = 64 * 1024
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
FORMS = (FORM, "multipart/form-data", "text/plain")
"""The media types that HTML forms send."""


def clean_text(text: str) -> str:
    """Return a text without control characters, lone surrogates and white space around it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNREADABLE.sub("", text).strip()


async def read_body(receive: Receive, most: int = _LARGEST_BODY) -> bytes:
    """Return a request's body, of so many bytes at most.

    Raises:
        Problem: 413, the body is larger.
        ClientDisconnect: the client has left.
    """
    body = b""
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
        if len(body) > most:
            raise Problem(413, f"The body has to be at most {most} bytes.", "error_too_large")
    return body


def read_media_type(content_type: str) -> str:
    """Return the media type in a Content-Type field, in lowercase and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def read_fields(media_type: str, body: bytes, repeated: str = "") -> dict[str, Any]:
    """Read a form or a JSON object. A field of a form that may be `repeated` is a list of texts.

    Raises:
        Problem: 400, the body is neither, or another field of a form comes twice.
    """
    if media_type == JSON:
        return read_json_object(body)
    if media_type != FORM:
        raise Problem(400, f"The body has to be {FORM} or {JSON}.")
    try:
        # Strict: what parsers read differently is refused and not guessed.
        received = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise Problem(400, "The form cannot be read.") from None
    single = [(name, value) for name, value in received if name != repeated]
    fields: dict[str, Any] = dict(single)
    if len(fields) < len(single):
        raise Problem(400, "A field that may occur once occurs several times.")
    if repeated:
        fields[repeated] = [value for name, value in received if name == repeated]
    return fields


def read_texts(media_type: str, body: bytes) -> dict[str, str]:
    """Read a form, or a JSON object of texts.

    Raises:
        Problem: 400, the body is neither.
    """
    fields = read_fields(media_type, body)
    if not all(isinstance(value, str) for value in fields.values()):
        raise Problem(400, f"These have to be texts: {', '.join(map(repr, fields))[:200]}.")
    return fields


def read_json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Problem: 400, the body is no JSON object in UTF-8 with unique keys.
    """
    try:
        data = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Problem(400, "The body is no JSON text in UTF-8 with each key once.") from None
    if not isinstance(data, dict):
        raise Problem(400, "The body has to be a JSON object.")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers differ in which of two equal keys they use, so that what one has checked another may not see.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is Python's, not JSON's")
