"""A Sphinx extension: a link to a file of the project outside of `docs/` leads to a page that shows the file.

So the site needs no code host, and works without a network.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "index",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "report-a-vulnerability",
}
"""The pages of the site that show a document of the project."""

DOWNLOADED = {".ipynb"}
"""What is of no use as text."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the steps of a build that this extension takes part in."""
    app.connect("env-before-read-docs", remember_files)
    # Before Sphinx collects what it would offer as a download.
    app.connect("doctree-read", find_links, priority=400)
    app.connect("missing-reference", link_to_page)
    app.connect("html-collect-pages", pages_of_files)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def remember_files(_app: Sphinx, env: BuildEnvironment, _docnames: list[str]) -> None:
    """Keep the files that pages link to with what Sphinx remembers from one build to the next."""
    if not hasattr(env, "project_files"):
        env.project_files = set()  # type: ignore[attr-defined]


def find_links(app: Sphinx, doctree: nodes.document) -> None:
    """Mark the links to files and folders of the project, for `link_to_page`."""
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        path = file_linked_to(app.env, node)
        if path is None or path.suffix in DOWNLOADED:
            continue
        name = path.relative_to(ROOT).as_posix()
        link = addnodes.pending_xref("", *node.children, refdomain="", reftype="project-file", reftarget=name)
        link["refdoc"] = app.env.docname
        node.replace_self(link)
        if name not in PAGES:
            app.env.project_files.add(name)  # type: ignore[attr-defined]


def file_linked_to(env: BuildEnvironment, node: nodes.Element) -> Path | None:
    """Return the file or folder outside of the site's pages that a link names, if it does."""
    if node.get("reftype") != "myst" or node.get("reftarget") in env.all_docs:
        return None
    name = node["reftarget"].partition("#")[0] + (".md" if node.get("refdomain") == "doc" else "")
    # The pages that show a document of the project's folder have its links, which start there.
    places = (Path(folder, name).resolve() for folder in (Path(env.doc2path(env.docname)).parent, ROOT))
    path = next((place for place in places if name and place.exists()), None)
    return path if path and path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "docs") else None


def link_to_page(
    app: Sphinx, _env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Return the link to the page of a file."""
    if node["reftype"] != "project-file":
        return None
    name = node["reftarget"]
    uri = app.builder.get_relative_uri(node["refdoc"], PAGES.get(name, f"files/{name}"))
    return nodes.reference("", "", content, internal=True, refuri=uri)


def pages_of_files(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Return a page for each file, and for each folder with all files in it."""
    for name in sorted(app.env.project_files):  # type: ignore[attr-defined]
        path = ROOT / name
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        body = "".join(shown(app.builder, file) for file in files)
        yield f"files/{name}", {"title": name, "body": f"<h1>{html.escape(name)}</h1>{body}"}, "page.html"


def shown(builder: Builder, file: Path) -> str:
    """Return a file as HTML, in the colours of its language."""
    try:
        language = get_lexer_for_filename(file.name).aliases[0]
    except ClassNotFound:
        language = "text"
    heading = f"<h2>{html.escape(file.name)}</h2>"
    code = builder.highlighter.highlight_block(file.read_text(encoding="utf-8"), language)  # type: ignore[attr-defined]
    return f"{heading}{code}"
