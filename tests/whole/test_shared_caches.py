"""Tests of pages for everybody behind nginx and Varnish, configured as documented: nothing is mixed up."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.asgi import PHONE, PREFIX
from tests.support.documentation import blocks
from tests.support.servers.processes import free_port, running_program
from tests.support.waiting import wait_until
from tests.whole.test_behind_a_proxy import needs_nginx, proxied, served

DOCS = "docs/caching.md"
VARNISH = shutil.which("varnishd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_varnish = pytest.mark.skipif(VARNISH is None, reason="varnish is not installed")
VISITORS = 200
PAGES = [f"/pages/{name}" for name in ("one", "two", "three", "strict")]
SIMULTANEOUS = 40
ALSO_SENT = frozenset({"date", "age", "via", "x-varnish", "server", "connection"})
"""Fields that caches and servers add."""

pytestmark = pytest.mark.server


@contextmanager
def behind_nginx(folder: Path, site: int) -> Iterator[int]:
    (config,) = blocks(DOCS, "nginx")
    port = free_port()
    config = config.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("127.0.0.1:8000", f"127.0.0.1:{site}")
    with proxied(folder, config.replace("/var/cache/nginx/pages", str(folder / "pages"))):
        yield port


@contextmanager
def behind_varnish(folder: Path, site: int) -> Iterator[int]:
    assert VARNISH is not None
    (config,) = blocks(DOCS, "vcl")
    port = free_port()
    vcl = folder / "site.vcl"
    vcl.write_text(config.replace('"8000"', f'"{site}"'))
    # Jails need another user, who may not read our folder. This option comes first.
    varnish = [VARNISH, "-j", "none", "-n", str(folder / "varnish")]
    checked = subprocess.run([*varnish, "-C", "-f", str(vcl)], capture_output=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr.decode()
    with running_program([*varnish, "-F", "-f", str(vcl), "-a", f"127.0.0.1:{port}", "-s", "malloc,64m"]):
        yield port


@dataclass
class Crowd:
    """Visitors behind the cache, and what they were served. Each second one grants."""

    client: httpx.AsyncClient
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SIMULTANEOUS))
    pages: dict[str, set[tuple[int, tuple[tuple[str, str], ...], bytes]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    views: int = 0
    answers: list[tuple[bool, str, dict[str, Any]]] = field(default_factory=list)

    async def request(self, cookies: dict[str, str], method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request with the cookies of a visitor, who keeps those of the response."""
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        reply = await self.client.request(method, path, headers={"cookie": sent, **more.pop("headers", {})}, **more)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            cookies[name] = value
        return reply

    async def view(self, cookies: dict[str, str], number: int) -> None:
        path = PAGES[number % len(PAGES)]
        reply = await self.request(cookies, "GET", path, headers={"accept": "text/html", "sec-fetch-dest": "document"})
        fields = tuple((name, value) for name, value in reply.headers.multi_items() if name not in ALSO_SENT)
        self.pages[path].add((reply.status_code, fields, reply.content))
        self.views += 1

    async def come(self, cookies: dict[str, str], number: int) -> None:
        """Look at a page, answer there if nobody did, and then ask for what is this visitor's own."""
        grants = number % 2 == 0
        async with self.room:
            await self.view(cookies, number)
            if not cookies:
                choice = "accept_all" if grants else "refuse_all"
                own = {"sec-fetch-site": "same-origin"}
                (await self.request(cookies, "POST", PREFIX, json={"choice": choice}, headers=own)).raise_for_status()
                await self.view(cookies, number + 1)
            mine = await self.request(cookies, "GET", f"/mine?visitor={number}")
            self.answers.append((grants, cookies["consent-state"], mine.json()))
            assert cookies["session"] == str(number)
            self.client.cookies.clear()


async def visit(port: int) -> Crowd:
    """Have new visitors come and answer, and come again."""
    limits = httpx.Limits(max_connections=SIMULTANEOUS, max_keepalive_connections=SIMULTANEOUS)
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, limits=limits, headers={"user-agent": PHONE}, timeout=60) as client:
        crowd = Crowd(client)
        jars: list[dict[str, str]] = [{} for _ in range(VISITORS)]
        for _ in range(2):
            await asyncio.gather(*(crowd.come(jar, number) for number, jar in enumerate(jars)))
    return crowd


@pytest.mark.full_matrix
@pytest.mark.parametrize(
    "cache", [pytest.param(behind_nginx, marks=needs_nginx), pytest.param(behind_varnish, marks=needs_varnish)]
)
def test_visitors_behind_a_cache_get_the_same_pages_and_their_own_answers(cache: Any, tmp_path: Path) -> None:
    with served("shared_site:site") as site, cache(tmp_path, site) as port:
        made = f"http://127.0.0.1:{port}/made"
        wait_until(lambda: answers(made), 60)
        seen = asyncio.run(visit(port))
        reached = httpx.get(made).json()
    assert {path: len(kinds) for path, kinds in seen.pages.items()} == dict.fromkeys(PAGES, 1)
    for ((status, fields, body),) in seen.pages.values():
        assert status == 200
        assert b"pchoice-shared" in body
        assert not {"set-cookie", "vary"} & {name for name, _ in fields}
    # The app made each page once for all.
    assert reached == len(PAGES)
    assert seen.views == 3 * VISITORS
    assert len(seen.answers) == 2 * VISITORS
    for grants, cookie, mine in seen.answers:
        assert mine == {"status": "granted" if grants else "refused", "media": grants}
        assert cookie.partition(".")[2] == ("ab." if grants else ".")


def answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False
