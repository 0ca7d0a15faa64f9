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
Step = tuple[str, str, dict[str, str]]


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


def visit(app: Any, *steps: Step, base_url: str = "https://site.example", **headers: str) -> list[httpx.Response]:
    """Visit a site, and keep its cookies from one step to the next. Each step is a method, a path and form data."""

    async def walk() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
            return [await client.request(method, path, data=data or None) for method, path, data in steps]

    return asyncio.run(walk())


def get(path: str = "/") -> Step:
    """Return the step of opening a page."""
    return ("GET", path, {})


def answer(choice: str) -> Step:
    """Return the step of answering the question."""
    return ("POST", "/privacy-choices", {"choice": choice})
