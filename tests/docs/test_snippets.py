"""Tests of single blocks of code on pages that have no test of their own."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent.cli.init import starter
from cookie_consent.cli.main import main
from tests.support.asgi import SITE, call, install, reply_app
from tests.support.documentation import ROOT, blocks, commands, get, run, visit
from tests.support.policies import KEY
from tests.whole.test_behind_a_proxy import NGINX, needs_nginx

MAKE = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


async def home(_: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>Home</title><body><h1>Welcome</h1>")


def site() -> Starlette:
    return Starlette(routes=[Route("/", home)])


@pytest.mark.usefixtures("site_folder")
def test_pages_for_shared_caches_are_the_same_for_everybody() -> None:
    app = site()
    (code,) = blocks("docs/caching.md", "python")
    run(code, app=app, KEYS=[KEY])
    (page,) = visit(app, get(), accept="text/html")
    assert "private" not in page.headers.get("cache-control", "")
    assert "vary" not in page.headers


@pytest.mark.usefixtures("site_folder")
def test_field_of_the_proxy_says_which_law_applies(site_folder: Path) -> None:
    (laws,) = blocks("docs/laws.md", "toml")
    policy = starter()
    (site_folder / "consent.toml").write_text(laws + policy[policy.index("[purposes.analytics]") :], "utf-8")
    app = site()
    (code,) = blocks("docs/laws.md", "python")
    run(code, app=app, KEYS=[KEY])
    states = [visit(app, get("/privacy-choices/state"), **{"cf-ipcountry": place})[0].json() for place in ("FR", "US")]
    assert [state["purposes"]["media"] for state in states] == [False, True]


def test_field_that_nginx_sets_is_one_that_the_page_names() -> None:
    (line,) = blocks("docs/laws.md", "nginx")
    set_field = re.fullmatch(r"proxy_set_header (\S+) \$geoip2_country;\n", line)
    assert set_field
    assert f'`"{set_field[1]}"`' in (ROOT / "docs" / "laws.md").read_text("utf-8")


@pytest.mark.full_matrix
@needs_nginx
@pytest.mark.server
def test_nginx_takes_the_logs_of_the_page_on_logs(tmp_path: Path) -> None:
    masked, told = blocks("docs/other-logs.md", "nginx")
    both = "".join(line for line in masked.splitlines(keepends=True) if not line.startswith("access_log")) + told
    (tmp_path / "logs").mkdir()
    for number, logs in enumerate((masked, both)):
        config = tmp_path / f"{number}.conf"
        http = logs.replace("/var/log/nginx", str(tmp_path / "logs"))
        config.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{http}\n}}\n", encoding="utf-8")
        assert NGINX
        tested = subprocess.run(
            [NGINX, "-t", "-c", str(config), "-p", str(tmp_path)], capture_output=True, text=True, timeout=60
        )
        assert tested.returncode == 0, tested.stderr


def test_example_that_the_page_on_subdomains_starts_exists() -> None:
    (block,) = blocks("docs/subdomains.md", "console")
    (command,) = commands(block)
    assert command[:2] == ["uvicorn", "--app-dir"]
    assert command[3] == "app:app"
    assert (ROOT / command[2] / "app.py").is_file()


def test_counter_of_the_page_on_warnings_counts_held_cookies() -> None:
    counter = blocks("docs/warnings.md", "python")[1]
    before = {*REGISTRY._collector_to_names}
    run(counter)
    try:
        call(install(reply_app(sets=["_ga=1"]), SITE))
        sample = {"direction": "response", "reason": "analytics"}
        assert (REGISTRY.get_sample_value("cookie_consent_held_cookies_total", sample) or 0) >= 1
    finally:
        for collector in {*REGISTRY._collector_to_names} - before:
            REGISTRY.unregister(collector)


def ours(page: str) -> list[list[str]]:
    """Return the commands of a page that are `cookie-consent`. A block may stand in a list."""
    lines = re.findall(r"^ *\$ (cookie-consent .*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    return [command for line in lines for command in commands(line)]


OURS = [command for page in ("README.md", "docs/policy.md", "docs/security.md") for command in ours(page)]


@pytest.mark.parametrize("command", OURS, ids=shlex.join)
def test_command_takes_these_arguments(command: list[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command[1:], "--help"])


def in_checkout() -> list[list[str]]:
    """Return the commands that pages tell to run in a checkout."""
    pages = (("docs/performance.md", "console"), ("docs/mutation.md", "console"), ("CONTRIBUTING.md", "sh"))
    return [command for page, kind in pages for block in blocks(page, kind) for command in commands(block)]


@pytest.mark.parametrize("command", in_checkout(), ids=shlex.join)
def test_command_for_a_checkout_names_what_exists(command: list[str]) -> None:
    program, *arguments = [part for part in command if not re.fullmatch(r"[A-Z_]+=\S*", part)]
    if program == "make":
        assert arguments[0] in MAKE
    elif program.endswith("python"):
        assert arguments[0] == "-m"
        assert importlib.util.find_spec(arguments[1])
    else:
        assert shutil.which(Path(program).name, path=ROOT / ".venv" / "bin")
    assert [name for name in arguments if name.startswith("tests/") and not (ROOT / name).exists()] == []
