"""`requires`: endpoints that run only if purposes are allowed, and otherwise give a fallback."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, overload

from starlette.concurrency import run_in_threadpool
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Host, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.startup import FailsAtStart
from cookie_consent.http.features import explanation
from cookie_consent.http.request_consent import OF_A_REQUEST, AnyRequest, consent_of
from cookie_consent.policy.parts import Feature
from cookie_consent.policy.policy import Policy

Endpoint = Callable[..., Any]
_Decorated = TypeVar("_Decorated", bound=Endpoint)

REQUIRED = "_cookie_consent_requires"
"""The attribute of a decorated endpoint with what it requires."""
_NAMES_OF_REQUESTS = ("Request", "HTTPConnection", inspect.Parameter.empty.__name__)
_NOT_GIVEN = "This needs a consent that was not given."
_LEAD_ON = (
    *("app", "routes", "endpoint", REQUIRED),  # of Starlette
    *("dependant", "dependencies", "call", "dependency", "original_router", "include_context"),  # of FastAPI
)
"""The attributes that lead from an app to what its routes require."""
_MOST_PARTS = 50_000
"""An app that makes up attributes has no end."""


def requires(
    *purposes: str, fallback: Endpoint | None = None, feature: str | None = None, status: int | None = None
) -> Requires:
    """Run an endpoint only if purposes are allowed, and otherwise respond with a fallback.

    Use it as a decorator of a Starlette or FastAPI endpoint that takes a request (a function, a method or an
    `HTTPEndpoint` class), or as a FastAPI dependency: `dependencies=[Depends(requires("media"))]`. A websocket that
    depends on it is closed with code 1008 (RFC 6455 section 7.4.1).

    It decorates endpoints of other frameworks, too, if they take the request and may return nothing. In all others, ask
    `requires("media").unmet(request)` in the endpoint.

    Args:
        purposes: ids of the purposes that are needed, all of them.
        fallback: an endpoint that responds instead. In frameworks other than Starlette and FastAPI it has the same
            arguments as the endpoint, and is no coroutine function if the endpoint is none. Without a fallback, a page
            (or JSON) explains what is off and why, and offers to allow just that.
        feature: the id of the feature whose title and fallback the explanation shows. It is needed only if several
            features need the same purposes.
        status: the status code of what is sent instead of the endpoint's response; by default that of the fallback, or
            200. In other frameworks it is that of the explanation only.

    Raises:
        ValueError: the status code is none of a response with a body.
        LookupError: on the first request, if the policy has no such purpose or feature. Where the routes of a Starlette
            or FastAPI app name it, the start fails instead.
    """
    return Requires(purposes, fallback, feature, status)


class Requires:
    """The result of `requires`. Call it with an endpoint to decorate it, or with a request to check it.

    Attributes:
        purposes: ids of the purposes that are needed.
        feature: the id of the feature that is explained; None if it follows from the purposes.
    """

    def __init__(
        self, purposes: tuple[str, ...], fallback: Endpoint | None, feature: str | None, status: int | None
    ) -> None:
        if status is not None and (status not in range(200, 600) or status in (204, 205, 304)):
            raise ValueError(f"requires(): status={status} is none of a response with a body, such as 200 or 403")
        self.purposes = purposes
        self._fallback = fallback
        self.feature = feature
        self._status = status
        self.__signature__ = OF_A_REQUEST

    @overload
    def __call__(self, request: HTTPConnection) -> None: ...

    @overload
    def __call__(self, request: _Decorated) -> _Decorated: ...

    def __call__(self, request: Any) -> Any:
        """Decorate an endpoint, or check a request.

        An endpoint keeps its type: one that is no coroutine function stays so. Without consent it returns a response.

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
        if self._replace_unmet(request, self._fallback):
            if request.scope["type"] == "websocket":
                raise WebSocketException(code=1008, reason=_NOT_GIVEN)
            # An exception is the only way for a dependency of FastAPI to stop the endpoint. The middleware sends the
            # page itself, because the app's error handlers would turn the exception into JSON.
            raise HTTPException(status_code=self._status or 200, detail=_NOT_GIVEN)

    def unmet(self, request: AnyRequest) -> bool:
        """Return whether a purpose is not allowed. The explanation then replaces what the endpoint returns.

        It is for frameworks in which the decorator does not fit, such as Quart and Django:
        `if needs_media.unmet(request): return ""`. On a websocket, nothing is replaced: close it.

        Args:
            request: the request, or anything else with the ASGI scope as its attribute `scope`.
        """
        return self._replace_unmet(request, None)

    def _replace_unmet(self, request: AnyRequest, fallback: Endpoint | None) -> bool:
        """Return whether a purpose is not allowed, and have the middleware replace what the endpoint then returns."""
        missing = self._missing(request)
        if missing and request.scope["type"] == "http":
            consent_of(request).replacement = self._make_replacement(request, missing, fallback)
        return bool(missing)

    def _decorate(self, endpoint: Endpoint) -> Endpoint:
        position, name = find_request_parameter(endpoint)

        def choose(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Endpoint:
            return self._choose(endpoint, kwargs[name] if name in kwargs else args[position])

        async def run(*args: Any, **kwargs: Any) -> Any:
            return await call(choose(args, kwargs), *args, **kwargs)

        # Starlette runs endpoints that are no coroutine functions in threads, and so it does with this one.
        def run_in_thread(*args: Any, **kwargs: Any) -> Any:
            return choose(args, kwargs)(*args, **kwargs)

        decorated = functools.wraps(endpoint)(run if _is_async(endpoint) else run_in_thread)
        vars(decorated)[REQUIRED] = self
        return decorated

    def _choose(self, endpoint: Endpoint, request: AnyRequest) -> Endpoint:
        """Return what runs in place of an endpoint; the endpoint itself if nothing is missing."""
        missing = self._missing(request)
        if not missing:
            return endpoint
        if isinstance(request, HTTPConnection):
            response = self._make_replacement(request, missing, self._fallback)
            return lambda *_, **__: response
        # Another framework cannot send a response of Starlette's.
        if self._fallback is None:
            self._replace_unmet(request, None)
            return lambda *_, **__: None
        self._degrade(request)
        return self._fallback

    def _decorate_class(self, endpoint: type[HTTPEndpoint]) -> type[HTTPEndpoint]:
        required = self

        class Degrading(endpoint):  # type: ignore[valid-type, misc]
            async def dispatch(self) -> None:
                request = Request(self.scope, self.receive)
                missing = required._missing(request)
                if missing:
                    replacement = required._make_replacement(request, missing, required._fallback)
                    await replacement(self.scope, self.receive, self.send)
                else:
                    await super().dispatch()

        # `updated=()`, because the `__dict__` of a class cannot be updated.
        functools.update_wrapper(Degrading, endpoint, updated=())
        setattr(Degrading, REQUIRED, self)
        return Degrading

    def _missing(self, request: AnyRequest) -> tuple[str, ...]:
        consent = consent_of(request)
        return tuple(purpose for purpose in self.purposes if not consent.allows(purpose))

    def _make_replacement(
        self, request: AnyRequest, missing: tuple[str, ...], fallback: Endpoint | None
    ) -> _Replacement:
        """Return the response in place of the endpoint's: that of the fallback, or else an explanation."""
        feature = self._degrade(request)
        app: Any = fallback  # Starlette makes an instance of a class and awaits it
        if fallback is None:
            # Now, since some frameworks forget the request before it is sent.
            app = explanation(request, missing, feature)
        elif not inspect.isclass(fallback):
            app = functools.partial(_respond, fallback, request)
        return _Replacement(app, self._status)

    def _degrade(self, request: AnyRequest) -> Feature | None:
        """Return the feature that is off, and note that it gives its fallback.

        Without its name, it is the only feature that needs exactly these purposes. None if there are several, or none.
        """
        consent = consent_of(request)
        purposes = set(self.purposes)
        features = [feature for feature in consent.policy.features if set(feature.purposes) == purposes]
        if self.feature is not None:
            features = [consent.policy.feature(self.feature)]
        if len(features) != 1:
            return None
        consent.degraded |= {features[0].id}
        return features[0]


class _Replacement(Response):
    """A response that an ASGI app makes when it is sent, with a status code; None for that of the app."""

    def __init__(self, app: ASGIApp, status: int | None) -> None:
        super().__init__()
        self._app = app
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_status(message: Message) -> None:
            if self._status is not None and message["type"] == "http.response.start":
                message = {**message, "status": self._status}
            await send(message)

        await self._app(scope, receive, send_with_status)
        if self.background is not None:
            await self.background()


async def _respond(endpoint: Endpoint, request: AnyRequest, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the response of an endpoint to a request."""
    response = await call(endpoint, request)
    if not isinstance(response, Response):
        response = JSONResponse(response)
    await response(scope, receive, send)


def find_request_parameter(endpoint: Endpoint) -> tuple[int, str]:
    """Return position and name of the parameter that takes the request: "request", or else the first after self.

    Raises:
        TypeError: the endpoint takes no request.
    """
    parameters = inspect.signature(endpoint).parameters
    names = list(parameters)
    if "request" in names:
        return names.index("request"), "request"
    name = next((name for name in names if name != "self"), "")
    # By its name, since other frameworks have classes of their own: falcon.asgi.Request, Request[Any, Any, Any].
    kind = parameters[name].annotation if name else ""
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    if kind.partition("[")[0].rpartition(".")[2] not in _NAMES_OF_REQUESTS:
        raise TypeError(f'requires(): {endpoint!r} takes no "request"; add it, or use Depends(requires(…))')
    return names.index(name), name


def _is_async(endpoint: Endpoint) -> bool:
    """Return whether calling an endpoint makes a coroutine: a function, a partial one, or an object with `__call__`."""
    return inspect.iscoroutinefunction(endpoint) or inspect.iscoroutinefunction(type(endpoint).__call__)


async def call(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    """Return what an endpoint returns."""
    if _is_async(endpoint):
        return await endpoint(*args, **kwargs)
    # Starlette runs endpoints that are no coroutine functions in threads, too. They may still return an awaitable.
    result = await run_in_threadpool(endpoint, *args, **kwargs)
    return await result if isinstance(result, Awaitable) else result


def check_required(app: Any, policy: Policy) -> None:
    """Check what the routes of an app require. Of an app of another kind nothing is known, and nothing is checked.

    Args:
        app: the ASGI app.
        policy: its policy. An app inside it that has a middleware of its own has its own policy, too.

    Raises:
        ValueError: the policy lacks a purpose or a feature. The message names those that it has.
    """
    waiting = [app]
    seen: dict[int, Any] = {}
    while waiting and len(seen) < _MOST_PARTS:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, Requires):
            try:
                for purpose in part.purposes:
                    if purpose not in policy.in_force:
                        raise policy.no_purpose(purpose)
                if part.feature is not None:
                    policy.feature(part.feature)
            except LookupError as error:
                raise ValueError(f"requires(): {error}") from None
        with suppress(Exception):  # an app of another kind may raise anything
            waiting.extend(list_parts(part))


def list_parts(part: Any) -> list[Any]:
    """Return what leads on from a part of an app; nothing from an app that has a policy of its own."""
    if isinstance(part, list):
        return part
    if isinstance(part, Mount | Host):
        return [part.app]  # its routes are those inside that app, which may have a policy of its own
    classes = [type(part), *(middleware.cls for middleware in getattr(part, "user_middleware", ()))]
    if any(isinstance(one, type) and issubclass(one, FailsAtStart) for one in classes):
        return []
    return [getattr(part, name, None) for name in _LEAD_ON]
