"""How long the first GET of a process takes, after the server started the app."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp, Message

from benchmarks import apps
from cookie_consent import ConsentMiddleware


def measure_first_gets(processes: int) -> dict[str, float]:
    """Return the milliseconds that the middleware adds to the first GET, the least of so many processes each."""
    took: dict[str, float] = {}
    for choice in ("", "refuse_all", "accept_all"):
        name = f"page, {choice or 'no answer'}"
        cookie = _make_cookie(choice)
        took[name] = min(_run_process(cookie) for _ in range(processes))
    return took


def _run_process(cookie: list[str]) -> float:
    command = [sys.executable, "-m", "benchmarks.first_get", *cookie]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _make_cookie(choice: str) -> list[str]:
    """Return the cookie of a visitor who gave this answer, or nothing."""
    if not choice:
        return []
    with TemporaryDirectory() as folder:
        app = apps.consent_app(access_log=f"{folder}/access.jsonl")
        return [asyncio.run(apps.visit(app, choice)).decode()]


async def start_server(app: ASGIApp) -> asyncio.Task[None]:
    """Tell the app that the server starts, and return what runs on until the loop ends, when the app is ready."""
    is_ready = asyncio.Event()
    is_told = False

    async def receive() -> Message:
        nonlocal is_told
        if is_told:
            await asyncio.Event().wait()
        is_told = True
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        assert message["type"] == "lifespan.startup.complete", message
        is_ready.set()

    async def run() -> None:
        await app({"type": "lifespan", "asgi": apps.ASGI, "state": {}}, receive, send)

    life = asyncio.create_task(run())
    await is_ready.wait()
    return life


async def time_get(app: ASGIApp, cookie: bytes | None) -> float:
    """Return how many milliseconds a page takes."""
    scope = apps.make_scope(apps.PAGE_ROUTE, cookie)
    began = time.perf_counter()
    await app(scope, apps.receive, apps.drop)
    return (time.perf_counter() - began) * 1000


async def measure_first_get(access_log: str, cookie: bytes | None) -> float:
    """Return how many milliseconds longer the first GET takes than on the bare app."""
    bare = apps.bare_app()
    app = apps.bare_app()
    app.add_middleware(
        ConsentMiddleware, policy=apps.POLICY, secret_keys=apps.KEY, prefix=apps.PREFIX, access_log=access_log
    )
    lives = [await start_server(bare), await start_server(app)]
    await time_get(bare, cookie)
    without = await time_get(bare, cookie)
    took = await time_get(app, cookie)
    for life in lives:
        life.cancel()
    return took - without


def main() -> None:
    """Measure once, in this process, and print the milliseconds; the argument is the visitor's cookie."""
    cookie = None
    if len(sys.argv) > 1:
        cookie = sys.argv[1].encode()
    with TemporaryDirectory() as folder:
        print(asyncio.run(measure_first_get(f"{folder}/access.jsonl", cookie)))


if __name__ == "__main__":
    main()
