"""Does in this process what docs/frameworks.md tells a newcomer to do."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shlex
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

from cookie_consent.cli.main import GOOD, main
from tests.frameworks.page import COMMON, FALLBACK, SHOWN, Page
from tests.support.browsers.browser import forms, stored_cookie
from tests.support.distribution import viewed

INIT = COMMON.commands[1]
REPORT = COMMON.commands[4]

_POLICY = Path("consent.toml")
_ACCESS_LOG = Path("logs/access.jsonl")
_EXAMPLE_COOKIE = re.compile(r'^\[\[cookies\]\]\nname = "session".*?(?=^\[\[)', re.M | re.S)
BROWSER = {
    "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "accept-language": "en",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@asynccontextmanager
async def running(app: Any, base_url: str = "http://localhost:8000") -> AsyncIterator[httpx.AsyncClient]:
    """Start an app, give a client with the header fields of a browser, and shut the app down.

    Args:
        app: the ASGI app.
        base_url: the address that it is visited at.
    """
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lifespan = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}, events.get, said.put)
    )
    await events.put({"type": "lifespan.startup"})
    started = await _next(said, lifespan)
    assert started["type"] == "lifespan.startup.complete", started.get("message")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url, headers=BROWSER) as client:
        yield client
    await events.put({"type": "lifespan.shutdown"})
    assert (await _next(said, lifespan))["type"] == "lifespan.shutdown.complete"
    await lifespan


async def _next(said: asyncio.Queue[dict[str, Any]], lifespan: asyncio.Task[None]) -> dict[str, Any]:
    """Return what the app says next, or raise what it raised."""
    message = asyncio.create_task(said.get())
    await asyncio.wait([message, lifespan], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if not message.done():
        message.cancel()
        raise AssertionError("The app has no lifespan.") from lifespan.exception()
    return message.result()


async def take_first_steps(page: Page) -> None:
    """Save and type what a page says up to its report, in the current folder, and visit the site as two browsers do.

    Args:
        page: the page.
    """
    _type(INIT)
    async with running(save(page, "app.py").app) as client:
        assert FALLBACK in await answered(client, "refuse_all")
        assert SHOWN in await answered(client, "accept_all")
    # The last records are written before the server hears that the app has ended.
    assert viewed(_ACCESS_LOG) == ["/"]
    _type(REPORT)


async def answered(client: httpx.AsyncClient, choice: str) -> str:
    """Answer the home page's question as a new visitor, with its form, and return the page as it is then."""
    client.cookies.clear()
    asked = await client.get("/")
    assert FALLBACK in asked.text
    assert "set-cookie" not in asked.headers
    form = next(form for form in forms(asked.text) if choice in dict(form.buttons).values() or choice in form.addresses)
    headers = {**SAME_ORIGIN, "content-type": "application/x-www-form-urlencoded"}
    await client.post(form.action, content=form.pressed(choice), headers=headers)
    page = await client.get("/")
    assert "refuse_all" not in page.text
    return page.text


def run_tests(page: Page) -> None:
    """Save a page's app and the tests of all pages, and run them as pytest does."""
    _type(INIT)
    save(page, "app.py")
    save(COMMON, "test_app.py").test_map_needs_consent()


def start_example(page: Page, init: str = INIT) -> Any:
    """Return a page's example as a module, in a folder with the first policy file and the page's cookies."""
    write_policy(page, init)
    return load(page.example)


def write_policy(page: Page, init: str = INIT) -> None:
    """Write the first policy file by a command, with a page's cookies, into the current folder."""
    _type(init)
    first = _POLICY.read_text(encoding="utf-8")
    own, replaced = _EXAMPLE_COOKIE.subn(lambda _: f"{page.cookies}\n", first)
    assert replaced == 1
    _POLICY.write_text(own, encoding="utf-8")


def save(page: Page, file: str) -> Any:
    """Save one of a page's files in the current folder, and return it as a module."""
    # Counts are written when the process ends. Then this is not the current folder any more.
    text = page.files[file].replace('"logs/', f'"{Path.cwd().as_posix()}/logs/')
    Path(file).write_text(text, encoding="utf-8")
    return load(Path(file))


def load(path: Path) -> ModuleType:
    """Execute a file anew, and return it as a module that others can import by its name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lifetimes(response: httpx.Response) -> dict[str, int | None]:
    """Return the cookies that a response sets: name -> for how many seconds; None until the browser closes.

    A minute counts as nothing, since "Expires" names a time of the clock.
    """
    now = time.time()
    fields = response.headers.get_list("set-cookie")
    stored = [cookie for field in fields if (cookie := stored_cookie(field.encode(), now))]
    return {
        cookie.name.decode(): None if cookie.expiry is None else round((cookie.expiry - now) / 60) * 60
        for cookie in stored
    }


def _type(command: str) -> None:
    """Run a command of ours in this process."""
    program, *arguments = shlex.split(command)
    assert program == "cookie-consent"
    assert main(arguments) == GOOD
