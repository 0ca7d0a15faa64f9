"""Tests of the examples: the registry site, a FastAPI app, and two hosts with one answer."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.documentation import ROOT

EXAMPLES = ROOT / "examples"
REGISTRY = EXAMPLES / "registry"
PARTNER = "http://localhost:8001"
PAGES = ("/", "/names", "/whois", "/whois/terms", "/offices", "/tour", "/account")
BROWSER = {
    "accept": "text/html",
    "accept-language": "en",
    "sec-fetch-site": "same-origin",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0)",
}
KEY = "k" * 32


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def registry_module() -> Any:
    return load(REGISTRY / "app.py")


@pytest.fixture
def registry(registry_module: Any, tmp_path: Path) -> Any:
    """The registry site as an app that writes access records to a file."""
    return registry_module.create_app({"REGISTRY_KEY": KEY, "REGISTRY_ACCESS_LOG": str(tmp_path / "access.jsonl")})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def browser(app: Any, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    own = {**BROWSER, "accept-language": language}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://registry.example", headers=own, follow_redirects=True
    ) as client:
        yield client


async def choose(client: httpx.AsyncClient, choice: str, path: str = "/") -> httpx.Response:
    """Send the consent form of a page, as a browser without JavaScript does."""
    return await client.post(**form_with(choice, (await client.get(path)).text))


def form_with(choice: str, page: str) -> dict[str, Any]:
    """Return the address and the fields of the form on a page that offers a choice."""
    form = next(form for form in re.findall("<form.*?</form>", seen(page), re.DOTALL) if f'value="{choice}"' in form)
    (action,) = re.findall(r'<form[^>]* action="([^"]+)"', form)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {"url": unescape(action), "data": {name: unescape(value) for name, value in hidden} | {"choice": choice}}


def seen(page: str) -> str:
    """Return a page without what is in a <template>: a browser shows and loads nothing of it."""
    return re.sub("<template.*?</template>", "", page, flags=re.DOTALL)


def loaded(page: str) -> list[str]:
    """Return what a page loads from other sites."""
    return re.findall(r'<(?:iframe|img|script)[^>]* src="(http[^"]+)"', seen(page))


async def recorded(client: httpx.AsyncClient) -> list[str]:
    """Return the paths in this visitor's access records."""
    export = (await client.get("/privacy-choices/export")).json()
    return [record["url.path"] for record in export["access_records"]]


@pytest.mark.requirement("UI-12")
@pytest.mark.anyio
@pytest.mark.parametrize("language", ["en", "ja"])
async def test_every_page_speaks_the_visitors_language_and_so_does_its_banner(registry: Any, language: str) -> None:
    async with browser(registry, language) as client:
        pages = {path: (await client.get(path)).text for path in PAGES}
    for path, text in pages.items():
        assert f'<html lang="{language}"' in text
        assert ("プライバシー設定" in text) == (language == "ja")
        # The tour's page has a question of its own, and the terms page has none.
        asked = re.search(rf'<section class="pchoice pchoice-corner pchoice-part"[^>]* lang="{language}"', text)
        assert (asked is None) == (path in ("/tour", "/whois/terms"))


@pytest.mark.anyio
@pytest.mark.parametrize("choice", [None, "refuse_all"])
async def test_pages_without_consent_load_nothing_external(registry: Any, choice: str | None) -> None:
    async with browser(registry) as client:
        if choice:
            await choose(client, choice)
        sources = [source for path in PAGES for source in loaded((await client.get(path)).text)]
    assert [source for source in sources if not source.startswith("http://registry.example/")] == []


@pytest.mark.requirement("DG-02")
@pytest.mark.anyio
async def test_features_give_their_fallback_until_granted(registry: Any) -> None:
    async with browser(registry) as client:
        await choose(client, "refuse_all")
        offices = (await client.get("/offices")).text
        names = (await client.get("/names?name=kawa")).text
        assert list(client.cookies) == ["consent"]
        assert await recorded(client) == []
        assert "The addresses and the ways to us are written below." in offices
        assert re.search(r'<template data-purpose="media">\s*<iframe id="map"', offices)
        assert 'id="general"' in names
        assert 'id="suited"' not in names
    async with browser(registry) as client:
        await choose(client, "accept_all")
        await client.get("/names?name=kawa")
        names = (await client.get("/names")).text
        offices = (await client.get("/offices")).text
        assert {"consent", "visitor", "recently-viewed"} == set(client.cookies.keys())
        assert await recorded(client) == ["/", "/names", "/names", "/offices"]
    assert "kawa-online.jp" in names
    assert {f"{PARTNER}/map.html", f"{PARTNER}/analytics.js"} <= set(loaded(offices))


@pytest.mark.anyio
async def test_whois_service_has_its_own_conditions(registry: Any) -> None:
    async with browser(registry) as client:
        asking = (await client.get("/whois")).text
        await choose(client, "accept_all")
        found = (await client.get("/whois?name=Example.JP")).text
        assert await recorded(client) == ["/"]
    assert "/whois/terms" in asking
    assert "Access tracing" not in asking
    assert "Example Registry Co., Ltd.</dd>" in found
    assert not any(PARTNER in source for source in loaded(found))


@pytest.mark.anyio
@pytest.mark.slow
async def test_analysts_see_goals_in_the_registrys_time_zone_once_they_signed_in(
    registry_module: Any, tmp_path: Path
) -> None:
    log = tmp_path / "access.jsonl"
    registry = registry_module.create_app(
        {"REGISTRY_KEY": KEY, "REGISTRY_ACCESS_LOG": str(log), "REGISTRY_ANALYSTS": "Ana, Bo"}
    )
    for _ in range(5):  # fewer would be too small a group to be shown
        async with browser(registry) as client:
            await choose(client, "accept_all")
            for path in ("/names", "/account"):
                await asyncio.sleep(0.002)  # records of the same millisecond have no order
                await client.get(path)
            assert await recorded(client) == ["/", "/names", "/account"]
    statuses = []
    async with browser(registry) as analyst:
        for name in (None, "Mallory", "Ana"):
            if name:
                await analyst.post("/account", data={"name": name})
            report = await analyst.get("/report/")
            statuses.append(report.status_code)
    assert statuses == [403, 403, 200]
    words = " ".join(re.sub("<[^>]+>", " ", report.text).split())
    assert "Asia/Tokyo" in words
    assert "account 5 5 100 %" in words


@pytest.mark.anyio
async def test_fastapi_example_gives_fallback_until_granted() -> None:
    async with browser(load(EXAMPLES / "fastapi_app.py").app) as client:
        page = (await client.get("/")).text
        assert "We are in the old school" in page
        assert loaded(page) == []
        assert (await client.get("/api/embeds")).json() == {"status": "unknown", "map": None}
        assert "Maps and videos" in (await client.get("/film")).text
        film = await choose(client, "grant", "/film")
        assert film.url.path == "/film"
        assert loaded(film.text) == ["https://maps.example.com/film"]
        assert loaded((await client.get("/")).text) == ["https://maps.example.com/museum"]
        assert (await client.get("/api/embeds")).json()["status"] == "granted"


@pytest.mark.anyio
async def test_answer_on_one_host_of_the_subdomains_example_counts_on_the_other() -> None:
    shop, museum = "http://shop.museum.localhost", "http://www.museum.localhost"
    async with browser(load(EXAMPLES / "subdomains" / "app.py").app) as client:
        assert "Status: unknown" in (await client.get(museum)).text
        await client.post(f"{shop}/privacy-choices", json={"choice": "refuse_all"})
        assert "<h1>Shop</h1><p>Status: refused" in (await client.get(shop)).text
        assert "<h1>Museum</h1><p>Status: refused" in (await client.get(museum)).text
        assert "Status: unknown" in (await client.get("http://localhost")).text
        settings = (await client.get(f"{museum}/privacy-choices")).text
    assert "Your choice counts on: www.museum.localhost, shop.museum.localhost." in settings
