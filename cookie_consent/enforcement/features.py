"""What becomes of a feature without consent: its fallback, in the visitor's language, with a way to allow it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.decision.own_cookies import new_id
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.policy.parts import Feature
from cookie_consent.visitors.pages.explanations import why_off
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import Asking
from cookie_consent.visitors.pages.wording import Wording

Endpoint = Callable[..., Any]

_MAY_BE_A_REQUEST = (inspect.Parameter.empty, Request, "Request", HTTPConnection, "HTTPConnection")
_NOT_GIVEN = "This needs a consent that was not given."
_pages = Pages(make_id=new_id)


def consent_of(scope: Mapping[str, Any]) -> RequestConsent:
    """Return the decision of a request.

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
    """Let an endpoint run only where purposes are allowed; degrade gracefully where they are not.

    A decorator for endpoints of Starlette and FastAPI that take a request (functions, methods, HTTPEndpoint classes),
    and a dependency of FastAPI: `dependencies=[Depends(requires("media"))]`. A websocket that depends on it is closed
    with code 1008 (RFC 6455 section 7.4.1).

    Args:
        purposes: the ids of the purposes that are needed, all of them.
        fallback: an endpoint that answers instead; without one, a page (or JSON) explains what is off and why, and
            offers to allow just that. It is never an error.
        feature: the id of the feature that the endpoint is, whose title and fallback the explanation shows; needed
            only where several features need the same purposes.

    Raises:
        LookupError: on the first request, if the policy has no such purpose or feature.
    """
    return Requires(purposes, fallback, feature)


class Requires:
    """What `requires` returns: call it with an endpoint to decorate it, or with a request to check it."""

    def __init__(self, purposes: tuple[str, ...], fallback: Endpoint | None, feature: str | None) -> None:
        self._purposes, self._fallback, self._feature = purposes, fallback, feature
        # FastAPI reads from here what to call a dependency with.
        request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
        self.__signature__ = inspect.Signature([request])

    def __call__(self, request: Any) -> Any:
        """Decorate an endpoint, or check a request."""
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

            async def instead(scope: Scope, receive: Receive, send: Send) -> None:
                await (await self._degraded(request, missing))(scope, receive, send)

            # The middleware answers with it, so that no framework's error handler turns a page into JSON.
            consent_of(request.scope).instead = instead
            raise HTTPException(status_code=200, detail=_NOT_GIVEN)

    def _decorate(self, endpoint: Endpoint) -> Endpoint:
        position, name = _request_parameter(endpoint)

        @functools.wraps(endpoint)
        async def degrading(*args: Any, **kwargs: Any) -> Any:
            request = kwargs[name] if name in kwargs else args[position]
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

        functools.update_wrapper(Degrading, endpoint, updated=())
        return Degrading

    def _missing(self, request: HTTPConnection) -> tuple[str, ...]:
        consent = consent_of(request.scope)
        return tuple(purpose for purpose in self._purposes if not consent.allows(purpose))

    async def _degraded(self, request: HTTPConnection, missing: tuple[str, ...]) -> ASGIApp:
        """Return what is answered in place of the endpoint."""
        consent = consent_of(request.scope)
        feature = _feature_of(consent, self._purposes, self._feature)
        if feature is not None:
            consent.degrade(feature.id)
        if self._fallback is None:
            return explanation(request, missing, feature)
        if inspect.isclass(self._fallback):
            return _answer_of(self._fallback)
        answer = await _call(self._fallback, request)
        return answer if isinstance(answer, Response) else JSONResponse(answer)


def explanation(request: HTTPConnection, missing: tuple[str, ...], feature: Feature | None) -> Response:
    """Return a page, or JSON for those who do not ask for pages, that says what is off, why, and how to allow it."""
    consent = consent_of(request.scope)
    consent.asks_itself = True
    if "text/html" in request.headers.get("accept", "") or "hx-boosted" in request.headers:
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
    """Return HTML that stands in a page in place of a feature: its fallback, and a button that allows it.

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
        asking=Asking(consent.nonce, consent.nonce),
    )


def _feature_of(consent: RequestConsent, purposes: tuple[str, ...], feature: str | None) -> Feature | None:
    """Return the named feature, else the one feature that needs just these purposes."""
    if feature is not None:
        return consent.policy.feature(feature)
    found = [part for part in consent.policy.features if set(part.purposes) == set(purposes)]
    return found[0] if len(found) == 1 else None


def _message(consent: RequestConsent, missing: tuple[str, ...], feature: Feature | None) -> str:
    """Return what the page says, as one text: the fallback, what is needed and why it is off."""
    words = Wording(consent.policy, consent.language)
    needs = words("unavailable_needs", purposes=words.titles(missing))
    reasons = dict.fromkeys(words(why_off(consent, purpose)) for purpose in missing)
    fallback = [feature.fallback[consent.language]] if feature else []
    return " ".join([*fallback, needs.unescape(), *(reason.unescape() for reason in reasons)])


def _request_parameter(endpoint: Endpoint) -> tuple[int, str]:
    """Return place and name of the parameter that gets the request: "request", else the first after self."""
    names = list(inspect.signature(endpoint).parameters)
    if "request" in names:
        return names.index("request"), "request"
    own = names[1:] if names[:1] == ["self"] else names
    parameter = inspect.signature(endpoint).parameters[own[0]] if own else None
    if parameter is None or parameter.annotation not in _MAY_BE_A_REQUEST:
        raise TypeError(f'requires(): {endpoint!r} takes no "request"; add it, or use Depends(requires(…))')
    return names.index(parameter.name), parameter.name


def _answer_of(endpoint: type[Any]) -> ASGIApp:
    """Return the answer of an endpoint that is a class: Starlette runs it by making and awaiting it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    return answer


async def _call(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    if inspect.iscoroutinefunction(endpoint):
        return await endpoint(*args, **kwargs)
    result = await run_in_threadpool(endpoint, *args, **kwargs)
    return await result if isinstance(result, Awaitable) else result
