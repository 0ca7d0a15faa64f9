"""Tests of the built package: a wheel and an editable install serve the banner and its assets."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def serve_banner(python: Path | str, folder: Path) -> Path:
    """Serve a page and its assets with an interpreter's package; return the path of that package."""
    (folder / "serve.py").write_text(SERVE)
    run(Path(python).parent / "cookie-consent", "init", folder=folder)
    return Path(run(python, "serve.py", folder=folder).strip())


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    return folder


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


@pytest.mark.full_matrix
def test_wheel_in_empty_environment_serves_the_banner(dist: Path, tmp_path: Path) -> None:
    wheel = next(dist.glob("*.whl"))
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, folder=tmp_path)
    assert serve_banner(python, tmp_path).is_relative_to(tmp_path / "env")
    (tmp_path / "ledger.py").write_text(OPEN)
    # Without the extra, the error says what to install. With it, the migrations of the wheel run.
    assert run(python, "ledger.py", folder=tmp_path).strip().endswith('pip install "cookie-consent[sql]"')
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[sql]", folder=tmp_path)
    assert run(python, "ledger.py", folder=tmp_path).strip() == "0 records"


@pytest.mark.slow
def test_editable_install_serves_the_banner(tmp_path: Path) -> None:
    assert serve_banner(sys.executable, tmp_path) == ROOT / "cookie_consent" / "__init__.py"


@pytest.mark.slow
def test_wheel_has_all_served_files_and_no_tests(dist: Path) -> None:
    names = zipfile.ZipFile(next(dist.glob("*.whl"))).namelist()
    for expected in (
        "static/built/choices.js",
        "static/built/choices.css",
        "static/built/link.css",
        "static/built/settings.css",
        "visitors/pages/templates/banner.html",
        "texts/ja.toml",
        "policy/starter.toml",
        "registry/app.py",
        "registry/consent.toml",
        "py.typed",
    ):
        assert f"cookie_consent/{expected}" in names
    own = {part for name in names for part in Path(name).parts}
    assert not [part for part in own if part == "tests" or part.startswith(("test_", "conftest"))]


@pytest.mark.slow
def test_source_archive_has_all_sources(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"static/choices.js", "static/built/choices.js", "examples/registry/app.py", "README.md"} <= set(names)


def imported(module: str) -> set[str]:
    """Return the modules of the package that import a given module."""
    package, found = ROOT / "cookie_consent", set[str]()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == module for name in names):
                found.add(path.relative_to(package).as_posix().removesuffix(".py"))
    return found


@pytest.mark.slow
def test_only_known_modules_import_fcntl_asyncio_and_trio() -> None:
    assert imported("fcntl") == {"base/process/locking"}
    commands = {name for name in imported("asyncio") if name.startswith("cli/")}
    on_own_thread = {"sinks/nats/connection", "sinks/nats/stream"}
    assert imported("asyncio") - commands - on_own_thread == {"base/process/event_loop", "tracing/counts"}
    assert imported("trio") == {"base/process/event_loop"}
