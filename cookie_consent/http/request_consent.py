"""The decision as one request's app sees it: in the visitor's language, and noting whether it is read."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from cookie_consent.base.addresses import address, outer_path
from cookie_consent.base.bounds import Cache
from cookie_consent.decision.decision import Decision, FeatureState
from cookie_consent.http.options import AppLanguage
from cookie_consent.pages.pages import Pages
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.texts.locales import accepted_language, match_language

_LONGEST_PATH = 2000


def _read_noted(name: str) -> Any:
    """Return a property that reads an attribute of the decision and sets `was_read`."""

    def read(consent: RequestConsent) -> Any:
        consent.was_read = True
        return getattr(consent._decision, name)

    return property(read)


class RequestConsent(Decision):
    """The `Decision` of one request, at `request.state.consent`.

    Reading it makes the response depend on it, so that the response gets `Vary` and `Cache-Control: private`.

    It stays as it was when the request arrived, however long the app takes. An answer that the visitor gives in the
    meantime applies to the next request.

    Requests share the decision, so this object does not copy it: its properties read it.

    Args:
        decision: the decision.
        scope: the request's ASGI scope.
        pages: renders what stands in place of what is off.
        app_language: returns the app's language for a request; None if that option is not used.

    Attributes:
        was_read: whether the decision was read.
        asks_itself: whether the page itself asks for what it needs, so that it gets no banner.
        chose_language: whether the language was chosen by Accept-Language.
        nonce: the nonce of the app's own Content-Security-Policy, for our tags in the app's templates; "" for none. The
            app sets it.
        reloads: whether the page has to be loaded again after a grant: it keeps the Content-Security-Policy that it
            came with, which names the origins of recipients only where they are allowed.
        replacement: an ASGI app whose response replaces the app's, or None.
        degraded: ids of the features that gave their fallback.
        returned: whether the visitor comes back to this page from one of our forms.
        cards: the ids of the cards that the page has so far.
    """

    was_read = False
    asks_itself = False
    chose_language = False
    nonce = ""
    replacement: Callable[..., Awaitable[None]] | None = None
    degraded: frozenset[str] = frozenset()
    returned = False
    cards: tuple[str, ...] = ()
    _language: str | None = None
    _app_language: Callable[[], str | None] | None = None
    # Other than the decision, this object changes. These are the methods of `object`, so that it does at no cost.
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__

    def __init__(
        self,
        decision: Decision,
        scope: Mapping[str, Any],
        pages: Pages,
        app_language: AppLanguage | None = None,
        *,
        reloads: bool = False,
    ) -> None:
        # Keep no reference to the scope: it contains this object, and mounted apps change it.
        self._decision = decision
        self.pages = pages
        self.reloads = reloads
        self._headers = scope["headers"]
        self._root_path = scope.get("root_path", "")
        if app_language is not None:
            self._app_language = partial(app_language, dict(scope))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)  # the slots of `Decision` are empty

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def feature(self, feature: str, *, language: str | None = None) -> FeatureState:
        """Return whether a feature is available, and its fallback; see `Decision.feature`."""
        state = super().feature(feature, language=language)
        if not state.available:
            self.degraded |= {feature}
        return state

    def sources(self, directive: str) -> tuple[str, ...]:
        """Return origins for the app's own Content-Security-Policy; see `Decision.sources`."""
        self.reloads = True
        return super().sources(directive)

    @property
    def base(self) -> str:
        """The path of the endpoints, including the path that the app is mounted at."""
        return address(self._root_path, self.pages.prefix)

    @property
    def language(self) -> str:
        """The language of what the visitor reads. An app that knows it can set it to an offered language.

        Raises:
            LookupError: it is set to a language that the policy does not offer.
        """
        self.was_read = True
        if self.app_language is not None:
            return self.app_language
        site = self._decision.policy.site
        self.chose_language = True
        accepted = ",".join(Headers(raw=self._headers).getlist("accept-language"))
        return accepted_language(accepted, site.languages) or site.prevailing_language

    @language.setter
    def language(self, tag: str) -> None:
        offered = self._decision.policy.site.languages
        if tag not in offered:
            raise LookupError(f'the language "{tag}" is not offered. {did_you_mean(tag, offered)}')
        self._language = tag

    def prefer_language(self, tag: str) -> None:
        """Use the offered language for a tag, such as "en" for "en-us", if there is one."""
        language = match_language(tag, self._decision.policy.site.languages)
        if language is not None:
            self.language = language

    @property
    def app_language(self) -> str | None:
        """The language that the app has set or returns for this request, or None."""
        if self._language is None and self._app_language is not None:
            self._language = self._app_language()
            self._app_language = None
        return self._language

    def language_of_page(self, tag: str | None, *, is_shared: bool = False) -> str:
        """Return the language for what is inserted into a page: the app's, the page's, or else one the browser accepts.

        Args:
            tag: the value of the page's lang attribute, if it has one.
            is_shared: whether the page is the same for everybody. What the browser accepts does not count then.
        """
        chosen = self.app_language
        if chosen is None and tag:
            chosen = match_language(tag, self._decision.policy.site.languages)
        if is_shared:
            return chosen or self._decision.policy.site.prevailing_language
        return chosen or self.language


# Properties are faster than __getattr__, which slows down every attribute access of the class.
for field in fields(Decision):
    if field.name != "language":
        setattr(RequestConsent, field.name, _read_noted(field.name))


class AnyRequest(Protocol):
    """A request or websocket of any ASGI framework. All have their ASGI scope."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""


# FastAPI reads the arguments of a dependency from its signature.
OF_A_REQUEST = inspect.Signature(
    [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
)


def consent_of(request: AnyRequest | Mapping[str, Any]) -> RequestConsent:
    """Return the decision for a request.

    It is a FastAPI dependency too, of endpoints and websockets: `Annotated[RequestConsent, Depends(consent_of)]`.

    Args:
        request: a request or websocket of any ASGI framework, or anything else with the ASGI scope as its attribute
            `scope`, or the scope itself.

    Raises:
        RuntimeError: the middleware is not installed.
    """
    scope = getattr(request, "scope", request)
    state = scope.get("state") if isinstance(scope, Mapping) else None
    consent = state.get("consent") if isinstance(state, Mapping) else None
    if not isinstance(consent, RequestConsent):
        raise RuntimeError(
            "There is no consent decision on this request: install the middleware, as in "
            'app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[...])'
        )
    return consent


vars(consent_of)["__signature__"] = OF_A_REQUEST


def own_path(scope: Mapping[str, Any], *, has_query: bool = True) -> str:
    """Return the path and query of a request, percent-encoded, to return to it; "" if they are too long.

    Args:
        scope: the ASGI scope of the request.
        has_query: whether the query counts. Caches may leave out parts of that of a shared page, whose script knows it.
    """
    query = scope.get("query_string", b"") if has_query else b""
    key = (scope["path"], scope.get("root_path", ""), query)
    path = _own_paths.get(key)
    if path is None:
        path = outer_path(scope)
        size = len(path) + len(query)
        if size > _LONGEST_PATH:
            return ""
        path = quote(path, errors="replace")
        if query:
            path += f"?{query.decode('latin-1')}"
        _own_paths.keep(key, path, size)
    return path


_own_paths = Cache[tuple[str, str, bytes], str](512)
"""Path, mount path and query -> what `own_path` returns."""
