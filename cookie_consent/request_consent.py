"""A request's own view of a decision: in the visitor's language, and aware of being read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from cookie_consent.decision import Decision
from cookie_consent.language import accepted_language
from cookie_consent.policy_error import did_you_mean


class RequestConsent(Decision):
    """The `Decision` of one request. Whoever reads it makes the response depend on it, and caches are told.

    The decision itself is shared by all requests that are alike. The slots that `Decision` declares stay empty here,
    so that each look at one comes by `__getattr__`.

    Args:
        decision: what holds.
        scope: the request's ASGI scope.
        base: the address of the endpoints, a mount path included.

    Attributes:
        base: the address of the endpoints.
        was_read: whether anybody read the decision.
        chose_language: whether the language was taken from what the browser accepts.
        instead: an ASGI app that answers in place of the app's own response, or None.
    """

    __slots__ = ("_decision", "_language", "_scope", "base", "chose_language", "instead", "was_read")
    __setattr__ = object.__setattr__

    def __init__(self, decision: Decision, scope: Mapping[str, Any], base: str) -> None:
        self._decision, self._scope, self.base = decision, scope, base
        self._language: str | None = None
        self.was_read = self.chose_language = False
        self.instead: Callable[..., Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        self.was_read = True
        return getattr(self._decision, name)

    @property
    def language(self) -> str:
        """The language in which the visitor is addressed. An app that knows better sets it to an offered one.

        Raises:
            LookupError: when set to a language that the policy does not offer.
        """
        self.was_read = True
        if self._language is None:
            site = self._decision.policy.site
            accepted = accepted_language(_accept_language(self._scope["headers"]), site.languages)
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
    """Return the path and query of a request, to come back to it."""
    query = scope["query_string"].decode("latin-1")
    return quote(scope["path"]) + (f"?{query}" if query else "")


def _accept_language(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"accept-language")
