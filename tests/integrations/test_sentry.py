"""What Sentry is sent says who came only of those who consented."""

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
from tests.support.asgi import Visitor, answering, install

ROOT = Path(__file__).parents[2]
PERSONAL = ("203.0.113.77", "Pixel", "secret", "anna", "50123")
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
LEFT = {
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


def of_a_visitor(consents: bool) -> list[Any]:
    """Return what is sent of an event, a transaction and a log that happen in a request."""
    sent: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        sent.append(before_send(copied(EVENT), {}))
        sent.append(before_send_transaction(copied(EVENT), {}))
        sent.append(before_send_attributes(copied(LOG), {}))
        await answering()(scope, receive, send)

    visitor = Visitor(install(app))
    if consents:
        visitor.accept()
    visitor.get()
    return sent


def test_events_of_those_who_consented_pass_as_they_are() -> None:
    assert of_a_visitor(consents=True) == [EVENT, EVENT, LOG]


def test_of_other_events_all_goes_that_says_who_somebody_is() -> None:
    assert of_a_visitor(consents=False) == [LEFT, LEFT, {**LOG, "attributes": {"logger.name": "app"}}]
    assert not any(sign in json.dumps(LEFT) for sign in PERSONAL)


def test_an_event_outside_of_any_request_is_treated_alike() -> None:
    assert before_send(copied(EVENT), {}) == LEFT
    assert before_send({"message": "started"}, {}) == {"message": "started"}
    assert before_send({"request": {}}, {}) == {"request": {}}


def test_what_has_no_attributes_passes() -> None:
    assert before_send_attributes({"body": "started"}, {}) == {"body": "started"}
    assert before_send_attributes({"attributes": {}}, {}) == {"attributes": {}}


@pytest.mark.parametrize("arguments", [[], ["stream"]])
@pytest.mark.slow
def test_nothing_that_is_sent_says_who_refused_or_said_nothing(arguments: list[str]) -> None:
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
    assert [sign for sign in PERSONAL if sign not in "".join(granting)] == []
    for sent in (refusing, silent):
        assert len(sent) == len(granting)
        assert [sign for sign in PERSONAL if sign in "".join(sent)] == []
        assert "the page broken is broken" in "".join(sent)


@pytest.mark.slow
def test_the_example_of_the_page_about_it_runs() -> None:
    page = (ROOT / "docs" / "other-logs.md").read_text(encoding="utf-8")
    (code,) = [
        block for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "init(" in block
    ]
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, timeout=120, check=True)
