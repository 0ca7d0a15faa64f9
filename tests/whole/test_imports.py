"""Tests of what an import of the package loads: no more than the middleware needs, and nothing once visitors come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.asgi import SITE

pytestmark = pytest.mark.slow

ROOMS = ("base", "texts", "policy", "decision", "pages", "http")
BESIDE_THE_ROOMS = {"current", "gone", "logging", "middleware"}
OF_TRACING = {"tracing", "tracing.access_record", "tracing.counts"}
"""The budget. The rest is loaded when a middleware is made, or when an option is given."""
OTHER_PACKAGES = {"anyio", "itsdangerous", "markupsafe", "rfc8785", "starlette"}
"""Besides what Starlette loads itself."""
STARLETTE = "import starlette.requests, starlette.responses, starlette.endpoints, starlette.concurrency"
LIST = "import json, sys; print(json.dumps(sorted(sys.modules)))"
SERVE = """
import asyncio, json, sys
from cookie_consent import ConsentMiddleware

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<!doctype html><html><head></head><body>x</body></html>"})

async def ask(site, method, path, body, *headers):
    fields = [(b"host", b"site.example"), (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"), *headers]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "scheme": "https", "headers": fields}
    async def receive():
        return {"type": "http.request", "body": body}
    async def send(message):
        statuses.append(message.get("status"))
    await site(scope, receive, send)

async def main():
    site = ConsentMiddleware(app, sys.argv[1], "k" * 40, **json.loads(sys.argv[2]))
    sys.addaudithook(note_read)
    before, page = {*sys.modules}, (b"accept", b"text/html")
    json_fields = ((b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin"))
    for path in ("/", "/", "/privacy-choices", "/privacy-choices/state"):
        await ask(site, "GET", path, b"", page)
    await ask(site, "POST", "/privacy-choices", b'{"choice": "accept_all"}', *json_fields)
    late = [name for name in read if name.endswith((".html", ".dat"))]  # templates, and what Babel knows of a language
    print(json.dumps([sorted({*sys.modules} - before), late, [status for status in statuses if status]]))

def note_read(event, given):
    if event in ("compile", "open"):
        read.append(str(given[event == "compile"]))

read, statuses = [], []
asyncio.run(main())
"""


def run(code: str, *arguments: str) -> object:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout
    )


def loaded_by(code: str) -> set[str]:
    modules = run(f"{code}\n{LIST}")
    assert isinstance(modules, list)
    return {*modules}


def test_import_loads_no_more_than_the_budget() -> None:
    loaded = loaded_by("from cookie_consent import ConsentMiddleware") - loaded_by(STARLETTE)
    own = {name.removeprefix("cookie_consent.") for name in loaded if name.startswith("cookie_consent.")}
    above = {name for name in own if name.partition(".")[0] not in ROOMS}
    assert above - BESIDE_THE_ROOMS <= OF_TRACING
    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert packages - {"cookie_consent"} <= OTHER_PACKAGES


@pytest.mark.parametrize("options", [{}, {"ledger": "sqlite:///{}/consent.db", "access_log": "{}/access.jsonl"}])
def test_no_request_waits_for_a_module_a_template_or_a_language(tmp_path: Path, options: dict[str, str]) -> None:
    policy = tmp_path / "consent.toml"
    policy.write_text(SITE, encoding="utf-8")
    given = {name: value.format(tmp_path) for name, value in options.items()}
    result = run(SERVE, str(policy), json.dumps(given))
    assert isinstance(result, list)
    loaded, late, statuses = result
    # anyio loads what it needs of an event loop in that loop.
    assert [name for name in loaded if not name.startswith(("anyio.", "encodings."))] == []
    assert late == []
    assert statuses == [200] * 5
