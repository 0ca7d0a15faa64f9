"""Django, served by ASGI: the visitor's consent in templates, and views that need consent.

It is a context processor and a library of template tags::

    "OPTIONS": {
        "context_processors": [..., "cookie_consent.integrations.django.consent_context"],
        "libraries": {"consent": "cookie_consent.integrations.django"},
    }
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpResponse
from django.template import Library
from markupsafe import Markup

from cookie_consent.decision.decision import FeatureState
from cookie_consent.http.features import consent_card, fallback_box
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.requires import requires as required_by_endpoint
from cookie_consent.integrations.jinja import consent_context as context_of_jinja

__all__ = ["consent_context", "requires"]

View = TypeVar("View", bound=Callable[..., Any])

_VARIABLES = (
    *("privacy_settings_url", "privacy_settings_link", "privacy_opt_out_link"),
    *("privacy_assets", "privacy_vendors", "privacy_tracking"),
)
_NO_DECISION = (
    "There is no consent decision on this request. Serve the site by ASGI, with the middleware around Django's app: "
    'ConsentMiddleware(get_asgi_application(), policy="consent.toml", secret_keys=[...]). "manage.py runserver" and '
    "Django's test clients do not run it."
)


def consent_context(request: Any) -> dict[str, Any]:
    """Return variables for templates; it is a context processor.

    - `consent`: the decision, as in `{% if consent.purposes.media %}`.
    - `privacy_settings_link`, `privacy_settings_url`, `privacy_opt_out_link`, `privacy_assets`, `privacy_vendors` and
      `privacy_tracking`, as in `cookie_consent.integrations.jinja.consent_context`. Printing one reads the decision.

    There are none if the middleware does not run, as in tests with Django's own client.

    Args:
        request: the request.
    """
    consent = _decision(request)
    if consent is None:
        return {}
    variables = cache(partial(context_of_jinja, request))
    # Templates call what can be called. A page that prints nothing of it stays the same for everybody.
    return {"consent": consent, **{name: partial(_variable, variables, name) for name in _VARIABLES}}


def requires(*purposes: str, feature: str | None = None) -> Callable[[View], View]:
    """Run a view, sync or async, only if purposes are allowed. Otherwise a page (or JSON) explains what is off and why.

    For a view that is a class, decorate what `as_view()` returns.

    Args:
        purposes: ids of the purposes that are needed, all of them.
        feature: the id of the feature whose title and fallback the explanation shows. It is needed only if several
            features need the same purposes.

    Raises:
        LookupError: on the first request, if the policy has no such purpose or feature.
        RuntimeError: on a request that has no decision, since the middleware does not run.
    """
    required = required_by_endpoint(*purposes, feature=feature)

    def is_unmet(request: Any) -> bool:
        if _decision(request) is None:
            raise RuntimeError(_NO_DECISION)
        return required.unmet(request)

    def decorate(view: View) -> View:
        @wraps(view)
        async def asking_async(request: Any, *args: Any, **kwargs: Any) -> Any:
            return HttpResponse() if is_unmet(request) else await view(request, *args, **kwargs)

        @wraps(view)
        def asking(request: Any, *args: Any, **kwargs: Any) -> Any:
            return HttpResponse() if is_unmet(request) else view(request, *args, **kwargs)

        return asking_async if iscoroutinefunction(view) else asking  # type: ignore[return-value]

    return decorate


def _variable(variables: Callable[[], dict[str, Any]], name: str) -> Any:
    return variables()[name]


def _decision(request: Any) -> RequestConsent | None:
    """Return the decision on a request, in the language that Django chose for it; None without the middleware."""
    consent = getattr(request, "scope", {}).get("state", {}).get("consent")
    if not isinstance(consent, RequestConsent):
        return None
    # `LocaleMiddleware` sets it. Other sites have one language, and their pages name it.
    chosen = getattr(request, "LANGUAGE_CODE", None)
    if chosen:
        consent.prefer_language(chosen)
    return consent


def _decision_in(context: Any) -> RequestConsent | None:
    """Return the decision for a template; None, and a warning for the developer, without the middleware."""
    consent = _decision(getattr(context, "request", None))
    if consent is None and settings.DEBUG:
        warnings.warn(_NO_DECISION, stacklevel=2)
    return consent


def _consented(context: Any, content: str, card: str, *, preview: str = "", title: str = "") -> str:
    """Return what `{% consented "maps" %}…{% endconsented %}` prints: the content, or a card; see `consent_card`."""
    if _decision_in(context) is None:
        return ""
    html = consent_card(context.request.scope, card, content, preview=preview, title=title)
    return Markup(html)  # noqa: S704 (rendered with autoescape)


def _consent_fallback(context: Any, feature: str) -> str:
    """Return what `{% consent_fallback "map" %}` prints: a box in place of a feature, with a button that allows it."""
    if _decision_in(context) is None:
        return ""
    return Markup(fallback_box(context.request.scope, feature))  # noqa: S704 (rendered with autoescape)


def _consent_feature(context: Any, feature: str) -> FeatureState | None:
    """Return what `{% consent_feature "map" as map %}` stores: whether the feature is available, and its fallback."""
    consent = _decision_in(context)
    return None if consent is None else consent.feature(feature)


register = Library()
register.simple_block_tag(_consented, takes_context=True, name="consented")
register.simple_tag(_consent_fallback, takes_context=True, name="consent_fallback")
register.simple_tag(_consent_feature, takes_context=True, name="consent_feature")
