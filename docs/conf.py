"""How Sphinx makes the documentation site: `make docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "docs"))

project = "cookie-consent"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser", "sphinx_copybutton", "project_files"]

# The headings have the anchors that code hosts give them, so that a link works there and here.
myst_heading_anchors = 4
# Examples leave things out ("…"), or have the variables of other tools in them.
suppress_warnings = ["misc.highlighting_failure"]

copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"cookie-consent {release}"
html_copy_source = False
html_search_scorer = str(ROOT / "docs" / "search_scorer.js")
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False
html_theme_options = {"top_of_page_buttons": []}


def setup(app: Sphinx) -> None:
    """Keep the decisions out of the menu. Their own page lists them, and a menu of all takes half of a build's time."""
    app.connect("doctree-read", leave_decisions_out_of_menu)


def leave_decisions_out_of_menu(app: Sphinx, _doctree: nodes.document) -> None:
    """Mark a decision as a page that no menu names."""
    name = app.env.docname
    if name.startswith("decisions/") and name != "decisions/README":
        app.env.metadata[name]["orphan"] = ""
