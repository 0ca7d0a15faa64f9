"""Tests of the assets: hashed names, caching and compression."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from cookie_consent.pages.assets import assets
from tests.support.asgi import PREFIX, call, install, page_app


@pytest.mark.parametrize("name", sorted(assets()))
def test_asset_name_contains_hash_of_its_content(name: str) -> None:
    asset = assets()[name]
    stem, digest, suffix = asset.name.rsplit(".", 2)
    assert f"{stem}.{suffix}" == name
    assert hashlib.sha256(asset.content).hexdigest().startswith(digest)
    assert len(digest) == 12
    assert gzip.decompress(asset.compressed) == asset.content
    assert asset.media_type == {"css": "text/css", "js": "text/javascript"}[suffix] + "; charset=utf-8"


@pytest.mark.parametrize("name", sorted(assets()))
def test_asset_is_served_as_immutable(name: str) -> None:
    asset = assets()[name]
    reply = call(install(), path=f"{PREFIX}/assets/{asset.name}")
    assert reply.status == 200
    assert reply.body == asset.content
    assert reply.get("content-type") == asset.media_type
    assert reply.get("cache-control") == "public, max-age=31536000, immutable"
    assert reply.get("vary") == "Accept-Encoding"
    assert reply.get("x-content-type-options") == "nosniff"
    assert reply.get("content-encoding") == ""
    assert reply.all("set-cookie") == []


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        *(("gzip, br", "gzip"), ("GZIP", "gzip"), ("br, gzip;q=0.5", "gzip"), ("gzip; q=1.000", "gzip")),
        *(("", ""), ("br", ""), ("gzip;q=0", ""), ("gzip ; q=0.000, br", ""), ("not-gzip", "")),
    ],
)
def test_asset_is_compressed_only_where_gzip_is_accepted(accepted: str, encoding: str) -> None:
    asset = assets()["choices.js"]
    reply = call(install(), path=f"{PREFIX}/assets/{asset.name}", headers=[("accept-encoding", accepted)])
    assert reply.get("content-encoding") == encoding
    assert (gzip.decompress(reply.body) if encoding else reply.body) == asset.content


def test_asset_with_wrong_hash_is_not_found() -> None:
    assert call(install(), path=f"{PREFIX}/assets/choices.000000000000.js").status == 404
    assert call(install(), path=f"{PREFIX}/assets/choices.js").status == 404


@pytest.mark.parametrize("name", ["choices.js", "question.js"])
def test_script_can_be_imported_under_its_plain_name(name: str) -> None:
    """The module under the plain name exports all that the module under the hashed name exports."""
    reply = call(install(), path=f"{PREFIX}/{name}", headers=[("accept-encoding", "gzip")])
    assert reply.text == f'export * from "./assets/{assets()[name].name}";\n'
    assert reply.get("content-type") == "text/javascript; charset=utf-8"
    assert reply.get("cache-control") == "no-store"
    assert call(install(), "HEAD", path=f"{PREFIX}/{name}").body == b""
    assert call(install(), "POST", path=f"{PREFIX}/{name}").status == 405


@pytest.mark.parametrize("name", ["choices.css", "settings.css", "choices.d.ts", "window.d.ts", "x.js"])
def test_files_other_than_scripts_have_no_plain_address(name: str) -> None:
    assert call(install(), path=f"{PREFIX}/{name}").status == 404


@pytest.mark.requirement("UI-18")
def test_assets_named_by_banner_are_served() -> None:
    app = install(page_app())
    text = call(app, headers=[("accept", "text/html")]).text
    named = [asset for asset in assets().values() if asset.name in text]
    assert {asset.media_type.partition(";")[0] for asset in named} == {"text/css", "text/javascript"}
    for asset in named:
        assert f'"{PREFIX}/assets/{asset.name}"' in text
        assert call(app, path=f"{PREFIX}/assets/{asset.name}").status == 200
