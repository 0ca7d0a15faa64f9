"""How Sphinx makes the documentation site: `make docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

project = "cookie-consent"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "from_code"]

# The headings have the anchors that code hosts give them, so that a link works there and here.
myst_heading_anchors = 4
# Examples leave things out ("…"), or have the variables of other tools in them.
suppress_warnings = ["misc.highlighting_failure"]

# Quotes in docstrings and tables are those of values.
smartquotes_action = "D"
# Docstrings have code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = ["asgiref", "django", "opentelemetry", "playwright", "prometheus_client", "pytest", "sentry_sdk"]

copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"cookie-consent {release}"
html_copy_source = False
html_static_path = ["_static"]
html_extra_path = ["../LICENSE"]
html_css_files = ["site.css"]
html_use_index = False
html_theme_options = {"top_of_page_buttons": []}

DOCUMENTS = {
    "CHANGELOG": "changelog.html",
    "CONTRIBUTING": "contributing.html",
    "LICENSE": "LICENSE",
    "SECURITY": "report-a-vulnerability.html",
}
"""The documents of the project -> the pages of the site that show them."""


def setup(app: Sphinx) -> None:
    """Register the steps of a build that are ours."""
    app.connect("doctree-read", leave_decisions_out_of_menu)
    # Before Sphinx collects what it would offer as a download.
    app.connect("doctree-read", link_to_documents, priority=400)


def leave_decisions_out_of_menu(app: Sphinx, _doctree: nodes.document) -> None:
    """Mark a decision as a page that no menu names: their own page lists them."""
    name = app.env.docname
    if name.startswith("decisions/") and name != "decisions/README":
        app.env.metadata[name]["orphan"] = ""


def link_to_documents(app: Sphinx, doctree: nodes.document) -> None:
    """Have links to documents of the project lead to the pages that show them."""
    for link in [*doctree.findall(addnodes.pending_xref)]:
        file, _, heading = link["reftarget"].partition("#")
        page = DOCUMENTS.get(Path(file).stem)
        if page:
            address = f"{'../' * app.env.docname.count('/')}{page}#{heading}".removesuffix("#")
            link.replace_self(nodes.reference("", "", *link.children, internal=True, refuri=address))
