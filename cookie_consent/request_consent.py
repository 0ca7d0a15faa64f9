"""A request's own view of a decision: in the visitor's language, and aware of being read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from cookie_consent.decision import Decision
from cookie_consent.language import accepted_language
from cookie_consent.mounting import address, outer_path
from cookie_consent.policy_error import did_you_mean

_LONGEST_PATH = 2000


class RequestConsent(Decision):
    """The `Decision` of one request. Whoever reads it makes the response depend on it, and caches are told.

    The decision itself is shared by all requests that are alike. The slots that `Decision` declares stay empty here,
    so that each look at one comes by `__getattr__`.

    Args:
        decision: what holds.
        scope: the request's ASGI scope.
        prefix: the path of the endpoints inside the app.

    Attributes:
        was_read: whether anybody read the decision.
        asks_itself: whether the page asks for what it needs, so that no banner has to.
        chose_language: whether the language was taken from what the browser accepts.
        instead: an ASGI app that answers in place of the app's own response, or None.
    """

    was_read = False
    asks_itself = False
    chose_language = False
    instead: Callable[..., Awaitable[None]] | None = None
    _language: str | None = None

    def __init__(self, decision: Decision, scope: Mapping[str, Any], prefix: str) -> None:
        self._decision, self._prefix = decision, prefix
        # Not the scope itself, which holds this object and changes on its way through mounted apps.
        self._headers, self._root_path = scope["headers"], scope.get("root_path", "")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self.was_read = True
        return getattr(self._decision, name)

    @property
    def base(self) -> str:
        """The address of the endpoints, with the path that the app is mounted at."""
        return address(self._root_path, self._prefix)

    @property
    def language(self) -> str:
        """The language in which the visitor is addressed. An app that knows better sets it to an offered one.

        Raises:
            LookupError: when set to a language that the policy does not offer.
        """
        self.was_read = True
        if self._language is None:
            site = self._decision.policy.site
            accepted = accepted_language(_accept_language(self._headers), site.languages)
            self._language = accepted or site.prevailing_language
            self.chose_language = True
        return self._language

    @language.setter
    def language(self, tag: str) -> None:
        offered = self._decision.policy.site.languages
        if tag not in offered:
            raise LookupError(f'the language "{tag}" is not offered. {did_you_mean(tag, offered)}')
        self._language = tag


def own_path(scope: Mapping[str, Any]) -> str:
    """Return the path and query of a request, to come back to it; "" where they are too long to."""
    path, query = outer_path(scope), scope.get("query_string", b"")
    return _written(path, query) if len(path) + len(query) <= _LONGEST_PATH else ""


@lru_cache(maxsize=512)
def _written(path: str, query: bytes) -> str:
    written = quote(path, errors="replace")
    return f"{written}?{query.decode('latin-1')}" if query else written


def _accept_language(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"accept-language")
