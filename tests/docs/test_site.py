"""Tests of the documentation site: it builds without a warning, needs no network, and has what the code has."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from cookie_consent import ConsentMiddleware, Cookie, Purpose, Service, Site
from cookie_consent.cli.main import COMMANDS
from cookie_consent.endpoints.endpoints import ENDPOINTS
from cookie_consent.policy.reader import hints_of_keys
from cookie_consent.report.figures import FIGURES
from tests.support.documentation import ROOT

MODULES = re.findall(r"^## `(.+)`$", (ROOT / "docs/reference/public-api.md").read_text("utf-8"), re.MULTILINE)
pytestmark = [pytest.mark.slow, pytest.mark.one_python]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. To build it takes ten seconds."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--doctree-dir", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, "docs", str(folder / "html")]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (build.returncode, build.stderr) == (0, "")
    return folder / "html"


@pytest.mark.timeout(150)
def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|link|iframe)[^>]* (?:src|href)="(?:https?:)?//[^"]*"')
    imports = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*")
    pages = [page.read_text("utf-8") for page in site.rglob("*.html")]
    styles = [file.read_text("utf-8") for file in site.rglob("*.css")]
    assert len(pages) > 50
    assert [found for page in pages for found in loads.findall(page)] == []
    assert [found for style in styles for found in imports.findall(style)] == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("options", inspect.signature(ConsentMiddleware).parameters.keys() - {"clock"}),
        (
            "policy-file",
            [*hints_of_keys(Site), *hints_of_keys(Purpose), *hints_of_keys(Cookie), *hints_of_keys(Service)],
        ),
        ("http", [f"/privacy-choices{path}".removesuffix("*") for path in ENDPOINTS if "." not in path]),
        ("commands", [listed.name for listed in COMMANDS]),
        ("figures", [figure.name for figure in FIGURES]),
        ("consent", ("allows", "feature", "sources", "should_ask", "outcome", "privacy_assets")),
        ("public-api", [name for module in MODULES for name in importlib.import_module(module).__all__]),
    ],
)
def test_reference_has_every_name_of_the_code(site: Path, page: str, names: Iterable[str]) -> None:
    text = re.sub("<[^>]+>", " ", (site / "reference" / f"{page}.html").read_text("utf-8"))
    assert [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)] == []
