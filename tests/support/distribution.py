"""Tries built archives as a newcomer does: `python -m tests.support.distribution FOLDER [PYTHON]...`.

Each archive of the folder is installed into an empty environment of each Python, and serves a site that two visitors
answer. It needs nothing but Python: the release workflow runs it on machines with nothing else.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.support.waiting import wait_until

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
APP = """
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware


async def home(request):
    response = HTMLResponse("<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1>")
    response.set_cookie("_ga", "1")
    return response


app = Starlette(routes=[Route("/", home)])
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=["k" * 32], access_log="access.jsonl")
"""
BROWSER = {
    "Accept": "text/html,*/*;q=0.8",
    "Accept-Language": "en",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
}


def archives(folder: Path) -> list[Path]:
    """Return the wheels and source archives in a folder."""
    return sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])


def new_environment(python: Path | str, folder: Path, *what: Path | str) -> Path:
    """Make a virtual environment with nothing but what is named, and return the folder of its commands.

    It has no pip: that of this environment installs, in the versions that constraints.txt names.
    """
    run(python, "-m", "venv", "--without-pip", folder)
    install = ("-m", "pip", "--python", folder, "install", "--quiet", "--constraint", CONSTRAINTS)
    run(sys.executable, *install, *what)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def run(*command: Path | str, folder: Path | None = None) -> str:
    """Run a command that knows only what is installed, and return what it prints."""
    done = subprocess.run(
        command, cwd=folder, env=own_variables(), check=True, stdout=subprocess.PIPE, text=True, timeout=120
    )
    return done.stdout


def own_variables() -> dict[str, str]:
    """Return the environment variables without the paths of a checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


class Visitor:
    """A browser with cookies of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._cookies = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self._cookies))

    def get(self, path: str, form: dict[str, str] | None = None) -> str:
        """Return a page; with a form, the one that follows it."""
        body = urlencode(form).encode() if form else None
        request = Request(self._address + path, body, BROWSER)
        with self._opener.open(request, timeout=60) as response:
            return str(response.read().decode())

    def answer(self, choice: str) -> str:
        """Press a button of the question, and return the page that follows."""
        return self.get("/privacy-choices", {"choice": choice, "next": "/"})

    @property
    def cookies(self) -> set[str]:
        """The names of the cookies that the browser keeps."""
        return {cookie.name for cookie in self._cookies}


def try_archive(python: Path | str, archive: Path) -> None:
    """Install an archive into an empty environment and visit the site that it serves."""
    with TemporaryDirectory() as made:
        commands = new_environment(python, Path(made, "environment"), archive, "uvicorn")
        folder = Path(made, "site")
        folder.mkdir()
        run(commands / "cookie-consent", "init", "--languages", "en", folder=folder)
        (folder / "app.py").write_text(APP, encoding="utf-8")
        with serving(commands / "uvicorn", folder) as address:
            visit(address, folder / "access.jsonl")


@contextmanager
def serving(uvicorn: Path, folder: Path) -> Iterator[str]:
    """Serve the app of a folder, and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (uvicorn, "--port", str(port), "--log-level", "warning", "app:app")
    with subprocess.Popen(command, cwd=folder, env=own_variables()) as server:
        try:
            wait_until(lambda: listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


def listens(port: int) -> bool:
    """Return whether a server takes connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def visit(address: str, access_log: Path) -> None:
    """Refuse as one visitor and accept as another; expect the banner, the cookies and the records that each has."""
    refusing, granting = Visitor(address), Visitor(address)
    asked = refusing.get("/")
    assert 'value="refuse_all"' in asked, "a new visitor is asked"
    assets = re.findall('"(/privacy-choices/assets/[^"]+)"', asked)
    assert len(assets) == 2, "the page names its assets"
    assert all(map(refusing.get, assets)), "the page's assets are served"
    assert not refusing.cookies, "nothing is set before an answer"
    assert 'value="refuse_all"' not in refusing.answer("refuse_all"), "a visitor who refused is not asked again"
    assert refusing.cookies == {"consent"}, "only the answer is kept after a refusal"
    granting.answer("accept_all")
    assert "_ga" in granting.cookies, "the app's cookie is set after a grant"
    wait_until(lambda: viewed(access_log))
    assert viewed(access_log) == ["/"], "only the visitor who granted is recorded"


def viewed(access_log: Path) -> list[str]:
    """Return the paths of the pages that an access log has."""
    lines = access_log.read_text(encoding="utf-8").splitlines() if access_log.exists() else []
    records = [json.loads(line) for line in lines]
    return [record["url.path"] for record in records if record.get("record.kind") == "view"]


def main(folder: str, *pythons: str) -> None:
    """Try all archives of a folder on all interpreters, or on this one."""
    found = archives(Path(folder).resolve())
    assert found, f"{folder} has archives"
    for python in pythons or (sys.executable,):
        version = run(python, "--version").strip()
        for archive in found:
            try_archive(python, archive)
            print(f"{archive.name} serves the banner on {version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
