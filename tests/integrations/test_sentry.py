"""Tests of Sentry: only events of consenting visitors have personal data."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from cookie_consent.integrations.sentry import before_send, before_send_attributes, before_send_transaction
from tests.support.asgi import Visitor, install, reply_app

ROOT = Path(__file__).parents[2]
PERSONAL = ("203.0.113.77", "Pixel", "q=secret", "anna", "50123")
EVENT = {
    "message": "broken",
    "user": {"id": "anna", "ip_address": "203.0.113.77"},
    "request": {
        "method": "POST",
        "url": "https://site.example/page?q=secret",
        "query_string": "q=secret",
        "headers": {"user-agent": "Pixel", "accept": "text/html"},
        "cookies": {"session": "secret"},
        "data": {"name": "anna"},
        "env": {"REMOTE_ADDR": "203.0.113.77"},
    },
    "contexts": {
        "runtime": {"name": "CPython"},
        "trace": {"op": "http.server", "data": {"client.address": "203.0.113.77", "thread.id": "1"}},
        "device": {"model": "Pixel"},
        "lasting": "a text",
    },
    "spans": [{"op": "http.client", "data": {"http.query": "q=secret", "http.method": "GET"}}, {"op": "template"}],
    "breadcrumbs": {"values": [{"category": "httplib", "data": {"url": "https://other.example/?q=secret"}}]},
    "exception": {
        "values": [
            {
                "type": "OSError",
                "stacktrace": {"frames": [{"lineno": 1, "vars": {"scope": "secret"}}, {"lineno": 2}]},
            },
            {"type": "KeyError", "stacktrace": None},
        ]
    },
    "threads": [{"id": 1, "stacktrace": {"frames": [{"lineno": 3, "vars": {"request": "secret"}}]}}],
}
WITHOUT_PERSONAL_DATA = {
    "message": "broken",
    "request": {"method": "POST", "url": "https://site.example/page"},
    "contexts": {
        "runtime": {"name": "CPython"},
        "trace": {"op": "http.server", "data": {"thread.id": "1"}},
        "lasting": "a text",
    },
    "spans": [{"op": "http.client", "data": {"http.method": "GET"}}, {"op": "template"}],
    "breadcrumbs": {"values": [{"category": "httplib", "data": {"url": "https://other.example/"}}]},
    "exception": {
        "values": [
            {"type": "OSError", "stacktrace": {"frames": [{"lineno": 1}, {"lineno": 2}]}},
            {"type": "KeyError", "stacktrace": None},
        ]
    },
    "threads": [{"id": 1, "stacktrace": {"frames": [{"lineno": 3}]}}],
}
LOG = {"body": "a page is asked for", "attributes": {"user_agent.original": "Pixel", "logger.name": "app"}}


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def sent_for_visitor(consents: bool) -> list[Any]:
    """Return the event, the transaction and the log that Sentry gets for one request."""
    sent: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        sent.append(before_send(copied(EVENT), {}))
        sent.append(before_send_transaction(copied(EVENT), {}))
        sent.append(before_send_attributes(copied(LOG), {}))
        await reply_app()(scope, receive, send)

    visitor = Visitor(install(app))
    if consents:
        visitor.accept()
    visitor.get()
    return sent


def test_events_of_consenting_visitors_are_unchanged() -> None:
    assert sent_for_visitor(consents=True) == [EVENT, EVENT, LOG]


def test_events_of_other_visitors_lose_personal_data() -> None:
    assert sent_for_visitor(consents=False) == [
        WITHOUT_PERSONAL_DATA,
        WITHOUT_PERSONAL_DATA,
        {**LOG, "attributes": {"logger.name": "app"}},
    ]
    assert not any(value in json.dumps(WITHOUT_PERSONAL_DATA) for value in PERSONAL)


def test_event_outside_request_loses_personal_data() -> None:
    assert before_send(copied(EVENT), {}) == WITHOUT_PERSONAL_DATA
    assert before_send({"message": "started"}, {}) == {"message": "started"}
    assert before_send({"request": {}}, {}) == {"request": {}}


def test_log_without_attributes_is_unchanged() -> None:
    assert before_send_attributes({"body": "started"}, {}) == {"body": "started"}
    assert before_send_attributes({"attributes": {}}, {}) == {"attributes": {}}


def kinds(sent: list[str]) -> list[str]:
    """Return what was sent: each event and transaction, and of what else there is one, whatever the number."""
    heads = re.findall(r'^\{[^{}]*"type":"(\w+)"[^{}]*"(?:content_type|length)"', "\n".join(sent), re.MULTILINE)
    others = {kind for kind in heads if kind not in ("event", "transaction")}
    return sorted([*others, *(kind for kind in heads if kind not in others)])


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("arguments", [[], ["stream"]])
@pytest.mark.slow
def test_sentry_gets_personal_data_only_after_consent(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.sites.sentry_site", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    granting, refusing, silent = map(json.loads, done.stdout.splitlines())
    assert [value for value in PERSONAL if value not in "".join(granting)] == []
    for sent in (refusing, silent):
        # Logs and metrics come in as many envelopes as were ready in time.
        assert kinds(sent) == kinds(granting)
        assert [value for value in PERSONAL if value in "".join(sent)] == []
        assert "the page broken is broken" in "".join(sent)


@pytest.mark.slow
def test_sentry_example_of_documentation_runs() -> None:
    page = (ROOT / "docs" / "other-logs.md").read_text(encoding="utf-8")
    (code,) = [
        block for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "init(" in block
    ]
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, timeout=120, check=True)
