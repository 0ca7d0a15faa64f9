"""Tests of the examples: in process, and the registry site on a live server too."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.seen_page import Page
from tests.support.servers.child_site import started

EXAMPLES = Path(__file__).parents[2] / "examples"
REGISTRY = EXAMPLES / "registry"
PARTNER = "http://localhost:8001"
PAGES = ("/", "/names", "/whois", "/whois/terms", "/offices", "/tour", "/account")
BROWSER = {"accept": "text/html", "accept-language": "en", "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0)"}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
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


@pytest.fixture(scope="module")
def museum() -> Any:
    return load(EXAMPLES / "fastapi_app.py").app


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def browser(app: Any, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    own = {**BROWSER, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://registry.example", headers=own, follow_redirects=True
    ) as client:
        yield client


async def choose(client: httpx.AsyncClient, choice: str, path: str = "/") -> httpx.Response:
    """Send the consent form of a page, as a browser without JavaScript does."""
    form = Page((await client.get(path)).text).choices[choice]
    return await client.post(form["action"], data={**form, "choice": choice}, headers=SAME_ORIGIN)


async def records(client: httpx.AsyncClient) -> list[str]:
    """Return the paths in this visitor's access records."""
    export = (await client.get("/privacy-choices/export")).json()
    return [record["url.path"] for record in export["access_records"]]


@pytest.mark.anyio
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "ja"])
async def test_every_page_exists_in_both_languages(registry: Any, path: str, language: str) -> None:
    async with browser(registry, accept_language=language) as client:
        page = await client.get(path)
    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.text
    assert ("プライバシー設定" in page.text) == (language == "ja")
    # The banner has the language of the page. The tour's page has a question of its own, and the terms page has none.
    asked = re.search(rf'<section class="pchoice pchoice-corner pchoice-part"[^>]* lang="{language}"', page.text)
    assert (asked is None) == (path in ("/tour", "/whois/terms"))


@pytest.mark.anyio
async def test_chosen_language_is_remembered_and_used_by_the_banner(registry: Any) -> None:
    async with browser(registry) as client:
        assert '<html lang="en"' in (await client.get("/")).text
        await client.get("/?lang=ja")
        assert client.cookies["lang"] == "ja"
        offices, tour = await client.get("/offices"), await client.get("/tour")
    assert '<html lang="ja"' in offices.text
    assert re.search(r'class="pchoice-box pchoice-part"[^>]* lang="ja"', offices.text)
    assert '<html lang="ja"' in tour.text
    assert tour.headers["content-language"] == "ja"
    assert "/privacy-choices?language=ja&amp;next=/offices" in offices.text


@pytest.mark.anyio
@pytest.mark.parametrize("choice", [None, "refuse_all"])
async def test_pages_without_consent_load_nothing_external(registry: Any, choice: str | None) -> None:
    async with browser(registry) as client:
        if choice:
            await choose(client, choice)
        for path in PAGES:
            sources = Page((await client.get(path)).text).sources
            assert all(source.startswith("http://registry.example/") for source in sources)


@pytest.mark.anyio
async def test_refused_features_give_their_fallback(registry: Any) -> None:
    async with browser(registry) as client:
        await choose(client, "refuse_all")
        offices = (await client.get("/offices")).text
        names = Page((await client.get("/names?name=kawa")).text)
        assert list(client.cookies) == ["consent"]
        assert await records(client) == []
    assert "The addresses and the ways to us are written below." in offices
    assert "Chiyoda-ku" in offices
    assert "map" not in Page(offices).ids
    # With JavaScript, a grant on this page shows the map at once.
    assert re.search(r'<template data-purpose="media">\s*<iframe id="map"', offices)
    assert "general" in names.ids
    assert "suited" not in names.ids


@pytest.mark.anyio
async def test_granted_features_are_shown(registry: Any) -> None:
    async with browser(registry) as client:
        await choose(client, "accept_all")
        await client.get("/names?name=kawa")
        names = (await client.get("/names")).text
        offices = Page((await client.get("/offices")).text)
        assert {"consent", "visitor", "recently-viewed"} == set(client.cookies.keys())
        assert await records(client) == ["/", "/names", "/names", "/offices"]
    assert "kawa-online.jp" in names
    assert "map" in offices.ids
    assert {f"{PARTNER}/map.html", f"{PARTNER}/analytics.js"} <= set(offices.sources)


@pytest.mark.anyio
async def test_tour_page_explains_and_offers_a_grant_button(registry: Any) -> None:
    async with browser(registry) as client:
        await choose(client, "refuse_all")
        explanation = await client.get("/tour")
        assert "Maps and tours" in explanation.text
        assert "tour" not in Page(explanation.text).ids
        tour = await choose(client, "grant", "/tour")
        assert tour.url.path == "/tour"
        assert "tour" in Page(tour.text).ids
        state = (await client.get("/privacy-choices/state")).json()
    assert state["purposes"] == {
        "necessary": True,
        "visits": False,
        "analytics": False,
        "media": True,
        "functional": False,
    }


@pytest.mark.anyio
async def test_whois_service_has_its_own_conditions(registry: Any) -> None:
    async with browser(registry) as client:
        asking = (await client.get("/whois")).text
        assert "/whois/terms" in asking
        assert "Access tracing" not in asking
        await choose(client, "accept_all")
        found = await client.get("/whois?name=Example.JP")
        await client.get("/whois/terms")
        assert await records(client) == ["/"]
    assert "Example Registry Co., Ltd.</dd>" in found.text
    assert not any(PARTNER in source for source in Page(found.text).sources)


@pytest.mark.anyio
async def test_session_works_after_refusal(registry: Any) -> None:
    async with browser(registry) as client:
        await choose(client, "refuse_all")
        welcome = await client.post("/account", data={"name": "花子"})
        assert "<strong>花子</strong>" in welcome.text
        assert "<strong>花子</strong>" in (await client.get("/account")).text
        assert "signed-in" not in Page((await client.post("/account")).text).ids


@pytest.mark.anyio
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
            assert await records(client) == ["/", "/names", "/account"]
    async with browser(registry) as analyst:
        assert (await analyst.get("/report/")).status_code == 403
        await analyst.post("/account", data={"name": "Mallory"}, headers=SAME_ORIGIN)
        assert (await analyst.get("/report/")).status_code == 403
        await analyst.post("/account", data={"name": "Ana"}, headers=SAME_ORIGIN)
        report = await analyst.get("/report/")
    assert report.status_code == 200
    words = " ".join(re.sub("<[^>]+>", " ", report.text).split())
    assert "Asia/Tokyo" in words
    assert "account 5 5 100 %" in words
    assert "goal:account" in words


@pytest.fixture(scope="module")
def live_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the registry site and of its partner's origin, on live servers."""
    kept = tmp_path_factory.mktemp("registry")
    listen = ("127.0.0.1", 0)
    with started("analytics:app", REGISTRY, kept / "partner.log", listen, {}) as partner:
        environ = {
            "REGISTRY_KEY": KEY,
            "REGISTRY_ACCESS_LOG": str(kept / "access.jsonl"),
            "REGISTRY_LEDGER": f"sqlite:///{kept / 'consent.db'}",
            "REGISTRY_PARTNER": partner.address,
        }
        with started("app:app", REGISTRY, kept / "site.log", listen, environ) as site:
            yield site.address, partner.address


def test_live_site_refuses_then_grants_a_feature(live_sites: tuple[str, str]) -> None:
    site, partner = live_sites
    with httpx.Client(base_url=site, headers=BROWSER, follow_redirects=True) as client:
        form = Page(client.get("/offices").text).choices["refuse_all"]
        offices = client.post(form["action"], data={**form, "choice": "refuse_all"}, headers=SAME_ORIGIN)
        assert offices.url.path == "/offices"
        assert list(client.cookies) == ["consent"]
        form = Page(offices.text).choices["grant"]
        offices = client.post(form["action"], data={**form, "choice": "grant"}, headers=SAME_ORIGIN)
        assert f"{partner}/map.html" in Page(offices.text).sources
        export = client.get("/privacy-choices/export").json()
    statuses = [proof["status"] for proof in export["consent_records"]]
    assert statuses == ["partial"], "the refusal before has no id, so the export cannot show it"
    assert export["access_records"] == []


@pytest.mark.anyio
async def test_fastapi_example_gives_fallback_until_granted(museum: Any) -> None:
    async with browser(museum) as client:
        page = await client.get("/")
        assert "We are in the old school" in page.text
        assert Page(page.text).sources == []
        assert (await client.get("/api/embeds")).json() == {"status": "unknown", "map": None}
        film = await client.get("/film")
        assert film.status_code == 200
        assert "Maps and videos" in film.text
        film = await choose(client, "grant", "/film")
        assert film.url.path == "/film"
        assert Page(film.text).sources == ["https://maps.example.com/film"]
        assert Page((await client.get("/")).text).sources == ["https://maps.example.com/museum"]
        assert (await client.get("/api/embeds")).json()["status"] == "granted"


@pytest.mark.anyio
async def test_answer_on_one_host_of_the_subdomains_example_counts_on_the_other() -> None:
    transport = httpx.ASGITransport(app=load(EXAMPLES / "subdomains" / "app.py").app)
    shop, museum = "http://shop.museum.localhost", "http://www.museum.localhost"
    async with httpx.AsyncClient(transport=transport, headers=BROWSER) as client:
        assert "Status: unknown" in (await client.get(museum)).text
        await client.post(f"{shop}/privacy-choices", json={"choice": "refuse_all"}, headers=SAME_ORIGIN)
        assert "<h1>Shop</h1><p>Status: refused" in (await client.get(shop)).text
        assert "<h1>Museum</h1><p>Status: refused" in (await client.get(museum)).text
        assert "Status: unknown" in (await client.get("http://localhost")).text
        settings = (await client.get(f"{museum}/privacy-choices")).text
    assert "Your choice counts on: www.museum.localhost, shop.museum.localhost." in settings
