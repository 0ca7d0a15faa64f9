"""Features that need consent: `requires`, and the fallbacks in the visitor's language with a button to allow them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.decision.cookie_settings import new_id
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.policy.parts import Feature
from cookie_consent.visitors.pages.explanations import why_off
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import QuestionOptions
from cookie_consent.visitors.pages.wording import Wording

Endpoint = Callable[..., Any]


class AnyRequest(Protocol):
    """A request of any ASGI framework. All have their ASGI scope."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""
        ...


_NAMES_OF_REQUESTS = ("Request", "HTTPConnection")
_NOT_GIVEN = "This needs a consent that was not given."
_pages = Pages(make_id=new_id)


def consent_of(scope: Mapping[str, Any]) -> RequestConsent:
    """Return the decision for a request, from its ASGI scope.

    Raises:
        RuntimeError: the middleware is not installed.
    """
    consent = scope.get("state", {}).get("consent")
    if not isinstance(consent, RequestConsent):
        raise RuntimeError(
            "There is no consent decision on this request: install the middleware, as in "
            'app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[...])'
        )
    return consent


def requires(*purposes: str, fallback: Endpoint | None = None, feature: str | None = None) -> Requires:
    """Run an endpoint only if purposes are allowed, and otherwise respond with a fallback.

    Use it as a decorator of a Starlette or FastAPI endpoint that takes a request (a function, a method or an
    `HTTPEndpoint` class), or as a FastAPI dependency: `dependencies=[Depends(requires("media"))]`. A websocket that
    depends on it is closed with code 1008 (RFC 6455 section 7.4.1).

    It decorates endpoints of other frameworks, too, if they take the request and may return nothing. In all others, ask
    `requires("media").unmet(request)` in the endpoint.

    Args:
        purposes: ids of the purposes that are needed, all of them.
        fallback: an endpoint that responds instead, with the same arguments in frameworks other than Starlette and
            FastAPI. Without one, a page (or JSON) explains what is off and why, and
            offers to allow just that, with status 200.
        feature: the id of the feature whose title and fallback the explanation shows. It is needed only if several
            features need the same purposes.

    Raises:
        LookupError: on the first request, if the policy has no such purpose or feature.
    """
    return Requires(purposes, fallback, feature)


class Requires:
    """The result of `requires`. Call it with an endpoint to decorate it, or with a request to check it."""

    def __init__(self, purposes: tuple[str, ...], fallback: Endpoint | None, feature: str | None) -> None:
        self._purposes, self._fallback, self._feature = purposes, fallback, feature
        # FastAPI reads the arguments of a dependency from its signature.
        request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
        self.__signature__ = inspect.Signature([request])

    def __call__(self, request: Any) -> Any:
        """Decorate an endpoint, or check a request.

        Raises:
            HTTPException: the request lacks a purpose. The middleware replaces the response with the fallback.
            WebSocketException: the websocket lacks a purpose.
            TypeError: the endpoint takes no request.
        """
        if isinstance(request, HTTPConnection):
            return self._check(request)
        if inspect.isclass(request) and issubclass(request, HTTPEndpoint):
            return self._decorate_class(request)
        return self._decorate(request)

    def _check(self, request: HTTPConnection) -> None:
        missing = self._missing(request)
        if missing and request.scope["type"] == "websocket":
            raise WebSocketException(code=WS_1008_POLICY_VIOLATION, reason=_NOT_GIVEN)
        if missing:

            async def replacement(scope: Scope, receive: Receive, send: Send) -> None:
                await (await self._degraded(request, missing))(scope, receive, send)

            # An exception is the only way for a dependency of FastAPI to stop the endpoint. The middleware sends the
            # page itself, because the app's error handlers would turn the exception into JSON.
            consent_of(request.scope).replacement = replacement
            raise HTTPException(status_code=200, detail=_NOT_GIVEN)

    def unmet(self, request: AnyRequest) -> bool:
        """Return whether a purpose is not allowed. The explanation then replaces what the endpoint returns.

        It is for frameworks in which the decorator does not fit, such as Quart and Django:
        `if needs_media.unmet(request): return ""`. On a websocket, nothing is replaced: close it.

        Args:
            request: the request, or anything else with the ASGI scope as its attribute `scope`.
        """
        missing = self._missing(request)
        if missing:
            feature = self._degrade(request)
            consent_of(request.scope).replacement = explanation(request, missing, feature)
        return bool(missing)

    def _decorate(self, endpoint: Endpoint) -> Endpoint:
        position, name = _request_parameter(endpoint)

        @functools.wraps(endpoint)
        async def degrading(*args: Any, **kwargs: Any) -> Any:
            request = kwargs[name] if name in kwargs else args[position]
            if not isinstance(request, HTTPConnection):
                return await _call(self._chosen(endpoint, request), *args, **kwargs)
            missing = self._missing(request)
            return await self._degraded(request, missing) if missing else await _call(endpoint, *args, **kwargs)

        return degrading

    def _decorate_class(self, endpoint: type[HTTPEndpoint]) -> type[HTTPEndpoint]:
        required = self

        class Degrading(endpoint):  # type: ignore[valid-type, misc]
            async def dispatch(self) -> None:
                request = Request(self.scope, self.receive)
                missing = required._missing(request)
                if missing:
                    await (await required._degraded(request, missing))(self.scope, self.receive, self.send)
                else:
                    await super().dispatch()

        # `updated=()`, because the `__dict__` of a class cannot be updated.
        functools.update_wrapper(Degrading, endpoint, updated=())
        return Degrading

    def _chosen(self, endpoint: Endpoint, request: AnyRequest) -> Endpoint:
        """Return the endpoint to run in another framework, which cannot send a response of Starlette's."""
        if self._fallback is None:
            return _nothing if self.unmet(request) else endpoint
        if not self._missing(request):
            return endpoint
        self._degrade(request)
        return self._fallback

    def _missing(self, request: AnyRequest) -> tuple[str, ...]:
        consent = consent_of(request.scope)
        return tuple(purpose for purpose in self._purposes if not consent.allows(purpose))

    async def _degraded(self, request: HTTPConnection, missing: tuple[str, ...]) -> ASGIApp:
        """Return the response to send in place of the endpoint's."""
        feature = self._degrade(request)
        if self._fallback is None:
            return explanation(request, missing, feature)
        if inspect.isclass(self._fallback):
            return _endpoint_app(self._fallback)
        result = await _call(self._fallback, request)
        return result if isinstance(result, Response) else JSONResponse(result)

    def _degrade(self, request: AnyRequest) -> Feature | None:
        """Return the feature that is off, if it is known, and note that it gives its fallback."""
        consent = consent_of(request.scope)
        feature = _feature_of(consent, self._purposes, self._feature)
        if feature is not None:
            consent.degrade(feature.id)
        return feature


def explanation(request: AnyRequest, missing: tuple[str, ...], feature: Feature | None) -> Response:
    """Return a response that says what is off, why, and how to allow it.

    It is a page if the request accepts HTML or comes from an element with hx-boost, else JSON.

    Args:
        request: the request.
        missing: ids of the purposes that are not allowed.
        feature: the feature that needs them, if it is known.
    """
    consent, headers = consent_of(request.scope), Headers(scope=request.scope)
    consent.asks_itself = True
    # htmx loads boosted links and forms without asking for HTML in Accept, but shows the response as a page.
    if "text/html" in headers.get("accept", "") or "hx-boosted" in headers:
        page = _pages.unavailable(
            consent,
            base=consent.base,
            language=consent.language,
            next_path=own_path(request.scope),
            missing=missing,
            feature=feature,
        )
        return HTMLResponse(page, headers={"cache-control": "no-store", "content-language": consent.language})
    return JSONResponse(
        {
            "available": False,
            "feature": feature.id if feature else None,
            "missing": list(missing),
            "message": _message(consent, missing, feature),
            "settings": consent.base,
        },
        headers={"cache-control": "no-store"},
    )


def fallback_box(scope: Mapping[str, Any], feature: str) -> str:
    """Return HTML to show in place of a feature: its fallback and a button that allows it.

    Args:
        scope: the ASGI scope of the request for the page.
        feature: the feature's id.

    Raises:
        LookupError: the policy has no such feature.
    """
    consent = consent_of(scope)
    consent.degrade(feature)
    return _pages.unavailable_box(
        consent,
        base=consent.base,
        language=consent.language,
        next_path=own_path(scope),
        feature=consent.policy.feature(feature),
        options=QuestionOptions(consent.tag_nonce, consent.tag_nonce),
    )


def _feature_of(consent: RequestConsent, purposes: tuple[str, ...], feature: str | None) -> Feature | None:
    """Return the named feature, or else the only feature that needs exactly these purposes."""
    if feature is not None:
        return consent.policy.feature(feature)
    matching = [declared for declared in consent.policy.features if set(declared.purposes) == set(purposes)]
    return matching[0] if len(matching) == 1 else None


def _message(consent: RequestConsent, missing: tuple[str, ...], feature: Feature | None) -> str:
    """Return the explanation as plain text: the fallback, what is needed and why it is off."""
    words = Wording(consent.policy, consent.language)
    needs = words("unavailable_needs", purposes=words.titles(missing))
    reasons = dict.fromkeys(words(why_off(consent, purpose)) for purpose in missing)
    fallback = [feature.fallback[consent.language]] if feature else []
    return " ".join([*fallback, needs.unescape(), *(reason.unescape() for reason in reasons)])


def _request_parameter(endpoint: Endpoint) -> tuple[int, str]:
    """Return position and name of the parameter that takes the request: "request", or else the first after self.

    Raises:
        TypeError: the endpoint takes no request.
    """
    names = list(inspect.signature(endpoint).parameters)
    if "request" in names:
        return names.index("request"), "request"
    without_self = names[1:] if names[:1] == ["self"] else names
    parameter = inspect.signature(endpoint).parameters[without_self[0]] if without_self else None
    if parameter is None or not _may_be_a_request(parameter.annotation):
        raise TypeError(f'requires(): {endpoint!r} takes no "request"; add it, or use Depends(requires(…))')
    return names.index(parameter.name), parameter.name


def _may_be_a_request(annotation: Any) -> bool:
    if annotation is inspect.Parameter.empty:
        return True
    # By its name, since other frameworks have classes of their own: falcon.asgi.Request, Request[Any, Any, Any].
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.partition("[")[0].rpartition(".")[2] in _NAMES_OF_REQUESTS


def _endpoint_app(endpoint: type[Any]) -> ASGIApp:
    """Return an ASGI app that runs an endpoint class as Starlette does: make an instance and await it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    return app


async def _nothing(*_: Any, **__: Any) -> None:
    """Respond with nothing, in place of an endpoint whose response is replaced."""


async def _call(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    if inspect.iscoroutinefunction(endpoint):
        return await endpoint(*args, **kwargs)
    # Starlette runs endpoints that are no coroutine functions in threads, too. They may still return an awaitable.
    result = await run_in_threadpool(endpoint, *args, **kwargs)
    return await result if isinstance(result, Awaitable) else result
