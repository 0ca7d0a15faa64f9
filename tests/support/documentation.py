"""Reads the blocks of code of the documentation, runs them, and visits the sites that they make."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from pathlib import Path
from typing import Any

import httpx

from cookie_consent import ConsentMiddleware

ROOT = Path(__file__).parents[2]
BROWSER = {"accept": "text/html", "accept-language": "en", "sec-fetch-site": "same-origin"}


def blocks(path: str, kind: str) -> list[str]:
    """Return the blocks of a page that are of one kind, such as "python"."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(code: str, **given: Any) -> dict[str, Any]:
    """Run a block of Python with names that its page takes for granted, and return the names afterwards."""
    names: dict[str, Any] = {"__name__": "page", "os": os, "ConsentMiddleware": ConsentMiddleware, **given}
    exec(compile(code, "a page of the documentation", "exec"), names)  # noqa: S102 (our own pages)
    return names


def commands(block: str) -> list[list[str]]:
    """Return the commands of a block of kind "console", each as its arguments."""
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]


def visit(app: Any, *steps: str | tuple[str, dict[str, str]], **headers: str) -> list[httpx.Response]:
    """Visit a site, and keep its cookies from one step to the next.

    Args:
        app: the site.
        steps: each is the path of a page ("/map"), an answer ("accept_all"), or the path and the fields of a form.
        headers: header fields beside those of a browser.
    """

    async def walk() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://site.example", headers={**BROWSER, **headers}
        ) as client:
            return [await take(client, step) for step in steps]

    return asyncio.run(walk())


async def take(client: httpx.AsyncClient, step: str | tuple[str, dict[str, str]]) -> httpx.Response:
    """Take a step of a visit."""
    if isinstance(step, tuple):
        return await client.post(step[0], data=step[1])
    if step.startswith("/"):
        return await client.get(step)
    return await client.post("/privacy-choices", data={"choice": step})
