"""Tests of the examples in docs/cards.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.asgi import SITE, Visitor, install
from tests.support.documentation import blocks

RECIPIENTS = SITE.replace('id = "maps"', 'id = "example-maps"').replace(
    "[features.map]",
    """[[recipients]]
id = "example-films"
name = "Films B.V."
purpose = "media"
receives = { en = "IP address", ja = "IPアドレス" }

[features.map]""",
)


def example(number: int) -> dict[str, Any]:
    """Return the names that an example in Python defines."""
    names: dict[str, Any] = {}
    exec(compile(blocks("docs/cards.md", "python")[number], "cards.md", "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize(
    ("path", "title", "content"),
    [
        ("/map", "Map of our offices", "maps.example.com/embed"),
        ("/film", "Film of the house", "films.example.com/embed"),
    ],
)
def test_examples_show_card_and_then_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, title: str, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    (block,) = blocks("docs/cards.md", "html+jinja")
    (tmp_path / "templates" / "map.html").write_text(f"<!doctype html><html lang=en><body>{block}</body></html>")
    templates, film = example(0)["templates"], example(1)["film"]

    async def map_page(request: Request) -> Response:
        response: Response = templates.TemplateResponse(request, "map.html")
        return response

    site = Starlette(routes=[Route("/map", map_page), Route("/film", film)])
    visitor = Visitor(install(site, RECIPIENTS), [("accept", "text/html")])
    visitor.refuse()
    page = visitor.get(path).text
    assert f"<p><b>{title}</b></p>" in page
    before = page[: page.index(content)]
    assert before.rindex("<template") > before.rfind("</template>")
    visitor.accept()
    assert "<template" not in visitor.get(path).text
    assert content in visitor.get(path).text
