"""Sentry: events carry personal data only if the visitor allows access tracing.

Each function is an option of `sentry_sdk.init`, as in `sentry_sdk.init(..., before_send=before_send, ...)`. Sentry
calls it where the event happens, so the running request is usually known. Without one, the visitor counts as having
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cookie_consent.current import is_traced
from cookie_consent.integrations.personal_data import without_personal, without_query

__all__ = ["before_send", "before_send_attributes", "before_send_transaction"]

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_REQUEST_FIELDS = ("method", "url")
_ABOUT_THE_VISITOR = ("browser", "client_os", "device", "geo", "session", "user")
_Item = TypeVar("_Item", bound=Mapping[str, Any])


def before_send(event: Event, hint: Hint) -> Event:
    """Remove personal data from an error report, unless tracing is allowed.

    Of the request, only the method and the address without its query stay. Local variables are removed, because they
    often contain the whole request. User, breadcrumbs and spans lose their personal attributes. The messages of the
    app's own errors stay.

    Args:
        event: the report.
        hint: unused.
    """
    return event if is_traced() else _without_personal(event)


def before_send_transaction(event: Event, hint: Hint) -> Event:
    """Remove personal data from a transaction, like `before_send`.

    Args:
        event: the transaction.
        hint: unused.
    """
    return before_send(event, hint)


def before_send_attributes(item: _Item, hint: Hint) -> _Item:
    """Remove personal data from a log, a metric or a streamed span.

    Use it as `before_send_log`, `before_send_metric` and `before_send_span`.

    Args:
        item: the item, with its attributes.
        hint: unused.
    """
    if is_traced() or not item.get("attributes"):
        return item
    return cast("_Item", {**item, "attributes": without_personal(item["attributes"])})


def _without_personal(event: Any) -> Any:
    cleaned = {key: value for key, value in event.items() if key != "user"}
    if "request" in event:
        request = event["request"]
        cleaned["request"] = {key: without_query(request[key]) for key in _REQUEST_FIELDS if key in request}
    if "contexts" in event:
        contexts = event["contexts"].items()
        cleaned["contexts"] = {name: _cleaned(it) for name, it in contexts if name not in _ABOUT_THE_VISITOR}
    if "spans" in event:
        cleaned["spans"] = [_cleaned(span) for span in event["spans"]]
    if "breadcrumbs" in event:
        cleaned["breadcrumbs"] = {"values": [_cleaned(crumb) for crumb in _values(event["breadcrumbs"])]}
    # Local variables often contain the whole request.
    for frame in _frames(event):
        frame.pop("vars", None)
    return cleaned


def _cleaned(item: Any) -> Any:
    """Return a context, span or breadcrumb without personal data."""
    if not isinstance(item, Mapping) or not isinstance(item.get("data"), Mapping):
        return item
    return {**item, "data": without_personal(item["data"])}


def _frames(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("exception", "threads"):
        for one in _values(event.get(kind)):
            yield from (one.get("stacktrace") or {}).get("frames") or ()


def _values(listed: Any) -> Any:
    """Return the items of a list in an event, which is {"values": [...]} or the list itself."""
    return (listed.get("values") if isinstance(listed, Mapping) else listed) or ()
