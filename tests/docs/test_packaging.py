"""Tests of the built package: it has what it needs, and a wheel serves the banner and its assets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from cookie_consent.cli.init import starter
from tests.support.distribution import new_environment, try_archive
from tests.support.sbom import write_sbom

pytestmark = pytest.mark.timeout(150)

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SERVE = """
import asyncio, re, sys
from cookie_consent import ConsentMiddleware

async def page(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<!doctype html><title>t</title><body><p>Hi"})

async def get(app, path):
    bodies = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        bodies.append(message.get("body", b""))
    headers = [(b"host", b"site.example")]
    scope = {"type": "http", "method": "GET", "scheme": "https", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return b"".join(bodies)

async def main():
    app = ConsentMiddleware(page, policy="consent.toml", secret_keys="k" * 32)
    html = (await get(app, "/")).decode()
    assets = re.findall('"(/privacy-choices/assets/[^"]+)"', html)
    assert len(assets) == 2, html
    for asset in assets:
        assert len(await get(app, asset)) > 500, asset
    assert 'value="refuse_all"' in html
    print(sys.modules["cookie_consent"].__file__)

asyncio.run(main())
"""


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, folder=folder)
    return zipfile.ZipFile(wheel_of(folder))


OPEN = """
from cookie_consent.ledgers import open_ledger
try:
    ledger = open_ledger("sqlite:///consent.db")
except ValueError as error:
    print(error)
else:
    print(ledger.size(), "records")
    ledger.close()
"""


def wheel_of(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.mark.full_matrix
@pytest.mark.one_python
@pytest.mark.server
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_archive_serves_the_banner_on_the_oldest_and_the_newest_python(dist: Path, kind: str) -> None:
    others = run(ROOT / ".ci" / "other-pythons", sys.executable, folder=ROOT).split()
    for python in (sys.executable, *others):
        try_archive(python, next(dist.glob(kind)))


@pytest.mark.full_matrix
@pytest.mark.one_python
def test_ledger_says_which_extra_it_needs_and_takes_it(dist: Path, tmp_path: Path) -> None:
    wheel = wheel_of(dist)
    (tmp_path / "ledger.py").write_text(OPEN)
    alone = new_environment(sys.executable, tmp_path / "alone", wheel)
    assert run(alone / "python", "ledger.py", folder=tmp_path).strip().endswith('pip install "cookie-consent[sql]"')
    with_extra = new_environment(sys.executable, tmp_path / "extra", f"{wheel}[sql]")
    assert run(with_extra / "python", "ledger.py", folder=tmp_path).strip() == "0 records"


@pytest.mark.full_matrix
@pytest.mark.one_python
def test_list_of_what_the_wheel_needs_is_the_same_each_time(dist: Path, tmp_path: Path) -> None:
    first = write_sbom(wheel_of(dist), tmp_path).read_text(encoding="utf-8")
    assert first == write_sbom(wheel_of(dist), tmp_path).read_text(encoding="utf-8")
    assert str(tmp_path) not in first
    listed = json.loads(first)
    names = {component["name"].lower() for component in listed["components"]}
    needed = {re.split(r"[^\w-]", line)[0].lower() for line in PROJECT["dependencies"]}
    assert names > needed
    assert not names & {"pip", "uvicorn", "sqlalchemy"}
    assert listed["metadata"]["component"]["version"] == PROJECT["version"]


@pytest.mark.full_matrix
@pytest.mark.parametrize("has_address", [True, False], ids=["address", "no address"])
def test_links_of_the_readme_lead_to_the_repository_where_it_is_named(tmp_path: Path, has_address: bool) -> None:
    from build.util import project_wheel_metadata

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = '[project.urls]\nRepository = "https://code.example/us/cookie-consent/"\n\n' if has_address else ""
    table = "[project.optional-dependencies]"
    (tmp_path / "pyproject.toml").write_text(text.replace(table, named + table), encoding="utf-8")
    readme = """
    # A title
    ![A picture](docs/banner.png) [A page](docs/limits.md#compression) [here](#a-title) <https://other.example>
    [Elsewhere](https://other.example/page)
    """
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    for file in ("hatch_build.py", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path)
    at = f"https://code.example/us/cookie-consent/{{kind}}/v{PROJECT['version']}/"
    raw, blob = (at.format(kind=kind) if has_address else "" for kind in ("raw", "blob"))
    expected = readme.replace("docs/banner.png", f"{raw}docs/banner.png").replace("docs/limits", f"{blob}docs/limits")
    assert str(project_wheel_metadata(tmp_path).json["description"]).strip() == expected.strip()


@pytest.mark.slow
def test_wheel_serves_the_banner(wheel: zipfile.ZipFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = tmp_path / "unpacked"
    wheel.extractall(unpacked)  # noqa: S202 (our own)
    monkeypatch.setenv("PYTHONPATH", str(unpacked))
    (tmp_path / "consent.toml").write_text(starter(["en"]), encoding="utf-8")
    served_by = run(sys.executable, "-c", SERVE, folder=tmp_path)
    assert Path(served_by.strip()) == unpacked / "cookie_consent" / "__init__.py"


@pytest.mark.slow
def test_wheel_has_all_served_files_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for expected in (
        "static/built/choices.js",
        "static/built/choices.css",
        "static/built/link.css",
        "static/built/settings.css",
        "pages/templates/banner.html",
        "texts/ja.toml",
        "cli/starter.toml",
        "registry/app.py",
        "registry/consent.toml",
        "registry/walk.py",
        "py.typed",
    ):
        assert f"cookie_consent/{expected}" in names
    own = {part for name in names for part in Path(name).parts}
    assert not [part for part in own if part == "tests" or part.startswith(("test_", "conftest"))]


@pytest.mark.full_matrix
def test_source_archive_has_all_that_is_tracked_and_nothing_else(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    if not (ROOT / ".git").exists():  # The tests run from a source archive.
        assert {"static/choices.js", "static/built/choices.js", "tests/docs/test_packaging.py", "LICENSE"} <= names
        return
    tracked, new = (set(run("git", "ls-files", kind, folder=ROOT).splitlines()) for kind in ("--cached", "--others"))
    assert tracked - names == set()
    assert names - tracked - new == {"PKG-INFO"}
