"""Sentry events that say who came only where access tracing is allowed.

Each function is an option of `sentry_sdk.init`: `sentry_sdk.init(..., before_send=before_send, ...)`. Sentry calls them
where the event happens, so that the running request is known; where it is not, its visitor counts as having refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cookie_consent.current import is_traced
from cookie_consent.integrations.personal_data import without_personal, without_query

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_KEPT_OF_REQUEST = ("method", "url")
_ABOUT_THE_VISITOR = ("browser", "client_os", "device", "geo", "session", "user")
_Item = TypeVar("_Item", bound=Mapping[str, Any])


def before_send(event: Event, hint: Hint) -> Event:
    """Take from an error report what says who somebody is, unless tracing is allowed.

    Of the request only method and address without query are left; local variables go, which often hold the whole
    request; user, breadcrumbs and spans lose such attributes. The texts of the app's own errors and messages stay.

    Args:
        event: the report.
        hint: not looked at.
    """
    return event if is_traced() else _without_personal(event)


def before_send_transaction(event: Event, hint: Hint) -> Event:
    """Do as `before_send` does, with a transaction of performance monitoring."""
    return before_send(event, hint)


def before_send_attributes(item: _Item, hint: Hint) -> _Item:
    """Do the same with one of Sentry's logs, metrics or streamed spans.

    It is good as `before_send_log`, as `before_send_metric` and as `before_send_span`.

    Args:
        item: has attributes.
        hint: not looked at.
    """
    if is_traced() or not item.get("attributes"):
        return item
    return cast("_Item", {**item, "attributes": without_personal(item["attributes"])})


def _without_personal(event: Any) -> Any:
    kept = {key: value for key, value in event.items() if key != "user"}
    if "request" in event:
        request = event["request"]
        kept["request"] = {key: without_query(request[key]) for key in _KEPT_OF_REQUEST if key in request}
    if "contexts" in event:
        contexts = event["contexts"].items()
        kept["contexts"] = {name: _with_data(it) for name, it in contexts if name not in _ABOUT_THE_VISITOR}
    if "spans" in event:
        kept["spans"] = [_with_data(span) for span in event["spans"]]
    if "breadcrumbs" in event:
        kept["breadcrumbs"] = {"values": [_with_data(crumb) for crumb in _values(event["breadcrumbs"])]}
    for frame in _frames(event):
        frame.pop("vars", None)
    return kept


def _with_data(item: Any) -> Any:
    """Return a context, a span or a breadcrumb with such data as may stay."""
    if not isinstance(item, Mapping) or not isinstance(item.get("data"), Mapping):
        return item
    return {**item, "data": without_personal(item["data"])}


def _frames(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("exception", "threads"):
        for one in _values(event.get(kind)):
            yield from (one.get("stacktrace") or {}).get("frames") or ()


def _values(listed: Any) -> Any:
    """Return what stands in a list of an event, which is either {"values": [...]} or the list itself."""
    return (listed.get("values") if isinstance(listed, Mapping) else listed) or ()
