"""A site that is not set up right does not serve: under each server, with the README's line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware, PolicyError
from tests.support.servers.processes import end_group, free_port, own_group

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
POLICY = """
[site]
name = "Example"
controller = "Example Co., Ltd."
contact = "privacy@example.jp"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Access tracing" }
description = { en = "We count visits." }
retention = "395 days"
"""
WRONG = f"{POLICY}traced = true\n"
RIGHT = f"{POLICY}traces = true\n"
WHAT_WOULD_BE_RIGHT = (
    'consent.toml: [purposes.analytics] key "traced": there is no key "traced" here. Did you mean "traces"?'
)
APP = """
from starlette.applications import Starlette
from cookie_consent import ConsentMiddleware

app = Starlette()
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=["k" * 32]{options})
"""
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "{port}", "app:app"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "app:app"],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", "app:app"],
    "gunicorn": [
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
        *("--worker-class", "uvicorn_worker.UvicornWorker", "app:app"),
    ],
}
LONGEST = 60.0


def start(folder: Path, server: str, policy: str, options: str = "") -> tuple[bool, str]:
    """Start a site; return whether the server ended by itself, and what it said."""
    (folder / "consent.toml").write_text(policy, encoding="utf-8")
    (folder / "app.py").write_text(APP.format(options=options), encoding="utf-8")
    command = [sys.executable, "-m", *(word.replace("{port}", str(free_port())) for word in SERVERS[server])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=env, **own_group()
    )
    try:
        return True, process.communicate(timeout=LONGEST)[0].decode()
    except subprocess.TimeoutExpired:
        end_group(process)
        return False, process.communicate()[0].decode()
    finally:
        end_group(process)


@pytest.mark.parametrize("server", SERVERS)
def test_a_wrong_policy_ends_the_server_with_what_would_be_right(server: str, tmp_path: Path) -> None:
    ended, said = start(tmp_path, server, WRONG)
    assert ended, said
    assert WHAT_WOULD_BE_RIGHT in said
    assert "startup complete" not in said


@pytest.mark.parametrize("server", SERVERS)
def test_a_missing_extra_ends_the_server_with_how_to_install_it(server: str, tmp_path: Path) -> None:
    missing = 'raise ModuleNotFoundError("No module named \'sqlalchemy\'", name="sqlalchemy")'
    (tmp_path / "sqlalchemy.py").write_text(missing, encoding="utf-8")
    ended, said = start(tmp_path, server, RIGHT, ', ledger="sqlite:///consent.db"')
    assert ended, said
    assert 'pip install "cookie-consent[sql]"' in said
    assert "startup complete" not in said


def site(folder: Path, made: Any = ConsentMiddleware) -> Starlette:
    path = folder / "consent.toml"
    path.write_text(WRONG, encoding="utf-8")
    app = Starlette()
    app.add_middleware(made, policy=path, secret_keys="k" * 32)
    return app


class Subclass(ConsentMiddleware):
    """A middleware of a site's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize("made", [ConsentMiddleware, Subclass])
def test_tests_of_a_site_see_the_error_itself(made: type, tmp_path: Path) -> None:
    app = site(tmp_path, made)
    with pytest.raises(PolicyError, match="traced"), TestClient(app):
        pass
    depths = []
    for _ in range(3):
        with pytest.raises(PolicyError, match="traced") as error:  # where no server starts, each request
            TestClient(app).get("/")
        depths.append(len(error.traceback))
    assert len(set(depths)) == 1


def test_who_makes_the_middleware_gets_the_error(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(WRONG, encoding="utf-8")
    for made in (ConsentMiddleware, Subclass):
        with pytest.raises(PolicyError, match="traced"):
            made(Starlette(), policy=path, secret_keys="k" * 32)
