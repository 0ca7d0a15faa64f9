"""A request's own view of a decision: in the visitor's language, and aware of being read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.base.paths import address, outer_path
from cookie_consent.decision.decision import Decision, FeatureState
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.negotiation import accepted_language, match_language
from cookie_consent.visitors.app_language import AppLanguage

_LONGEST_PATH = 2000


def _noticed(name: str) -> Any:
    """Return a property that reads an attribute of the decision, and notes that it was read."""

    def read(consent: RequestConsent) -> Any:
        consent.was_read = True
        return getattr(consent._decision, name)

    return property(read)


class RequestConsent(Decision):
    """The `Decision` of one request. Whoever reads it makes the response depend on it, and caches are told.

    It says what held when the request came, however long the app takes. An answer that the visitor gives meanwhile
    counts for the response (its cookies, the access record, the banner) and for the next request.

    The decision itself is shared by all requests that are alike. A property stands for each of its fields here.

    Args:
        decision: what holds.
        scope: the request's ASGI scope.
        prefix: the path of the endpoints inside the app.
        app_language: tells the app's own language for a request; None where the app has not said how.

    Attributes:
        was_read: whether anybody read the decision.
        asks_itself: whether the page asks for what it needs, so that no banner has to.
        chose_language: whether the language was taken from what the browser accepts.
        follows_page: whether the app leaves the language to the page.
        nonce: of the page's Content-Security-Policy, for the tags that stand in the app's own templates. An app that
            gives scripts and stylesheets a nonce sets it.
        instead: an ASGI app that answers in place of the app's own response, or None.
        degraded: the ids of the features that gave their fallback.
    """

    # Not by __getattr__: a class that has it pays for each look at an attribute of an instance.
    policy: Policy = _noticed("policy")
    purposes: Mapping[str, bool] = _noticed("purposes")
    status: str = _noticed("status")
    should_ask: bool = _noticed("should_ask")
    signals: tuple[str, ...] = _noticed("signals")
    record: ConsentRecord | None = _noticed("record")
    news: date | None = _noticed("news")
    honours_gpc: bool = _noticed("honours_gpc")
    was_read = False
    asks_itself = False
    chose_language = False
    follows_page = True
    nonce = ""
    instead: Callable[..., Awaitable[None]] | None = None
    degraded: frozenset[str] = frozenset()
    _language: str | None = None
    _root_path = ""
    _app_language: Callable[[], str | None] | None = None

    def __init__(
        self, decision: Decision, scope: Mapping[str, Any], prefix: str, app_language: AppLanguage | None = None
    ) -> None:
        # Not the scope itself, which holds this object and changes on its way through mounted apps.
        self._decision, self._prefix, self._headers = decision, prefix, scope["headers"]
        if scope.get("root_path"):
            self._root_path = scope["root_path"]
        if app_language is not None:
            self._app_language, self.follows_page = partial(app_language, dict(scope)), False

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)  # without the slots of `Decision`, which are empty

    def feature(self, feature: str, *, language: str | None = None) -> FeatureState:
        """Return whether a feature is available, and what stands in its place; see `Decision.feature`."""
        found = super().feature(feature, language=language)
        if not found.available:
            self.degrade(feature)
        return found

    def degrade(self, feature: str) -> None:
        """Note that a feature gives its fallback."""
        self.degraded |= {feature}

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
        return self.app_language or self._accepted()

    @language.setter
    def language(self, tag: str) -> None:
        offered = self._decision.policy.site.languages
        if tag not in offered:
            raise LookupError(f'the language "{tag}" is not offered. {did_you_mean(tag, offered)}')
        self._language, self.follows_page = tag, False

    @property
    def app_language(self) -> str | None:
        """The language that the app has set, or tells for this request; None where it leaves that to the page."""
        if self._language is None and self._app_language is not None:
            self._language, self._app_language = self._app_language(), None
        return self._language

    def language_of_page(self, tag: str | None) -> str:
        """Return the language for what is put into a page: the app's own, the page's, or one that the browser accepts.

        Args:
            tag: the language that the page names.
        """
        chosen = self.app_language
        if chosen is None and tag:
            chosen = match_language(tag, self._decision.policy.site.languages)
        return chosen or self.language

    def _accepted(self) -> str:
        site = self._decision.policy.site
        self.chose_language = True
        return accepted_language(_accept_language(self._headers), site.languages) or site.prevailing_language


def own_path(scope: Mapping[str, Any]) -> str:
    """Return the path and query of a request, to come back to it; "" where they are too long to."""
    path, query = outer_path(scope), scope.get("query_string", b"")
    length = len(path) + len(query)
    if length <= LONGEST_KEPT:
        return _written(path, query)
    return _written.__wrapped__(path, query) if length <= _LONGEST_PATH else ""


@lru_cache(maxsize=512)
def _written(path: str, query: bytes) -> str:
    written = quote(path, errors="replace")
    return f"{written}?{query.decode('latin-1')}" if query else written


def _accept_language(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return b",".join([value for name, value in headers if name == b"accept-language"]).decode("latin-1")
