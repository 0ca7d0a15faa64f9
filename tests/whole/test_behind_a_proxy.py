"""Tests behind a proxy: the log says which setting is missing, and the documented settings work."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.asgi import PREFIX, Fields, Reply, bodies, call, install, response_to, scope
from tests.support.documentation import blocks
from tests.support.servers.processes import free_port, program_path, running_program, wait_for_port
from tests.support.waiting import wait_until

DOCS = "docs/behind-a-proxy.md"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ACCEPT, JSON = b'{"choice": "accept_all"}', ("content-type", "application/json")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


# The advice in the log.


def posted(origin: str, headers: Fields = (), app: Any = None, **more: Any) -> Reply:
    return call(app or install(), "POST", PREFIX, [JSON, ("origin", origin), *headers], ACCEPT, **more)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("origin", "more", "parts", "not_parts"),
    [
        (
            "https://site.example",
            {"scheme": "http"},
            ['"https://site.example"', '"http://site.example"', "X-Forwarded-Proto", "--forwarded-allow-ips"],
            ["proxy_set_header Host"],
        ),
        (
            "https://site.example",
            {"host": "127.0.0.1:8000"},
            ['"https://127.0.0.1:8000"', "proxy_set_header Host $http_host"],
            ["X-Forwarded-Proto"],
        ),
        ("https://site.example:8443", {}, ["proxy_set_header Host $http_host"], ["X-Forwarded-Proto"]),
        ("https://site.example:8443", {"host": ""}, ["proxy_set_header Host $http_host"], ["X-Forwarded-Proto"]),
        (
            "https://site.example",
            {"scheme": "http", "host": "app:8000", "root_path": "/shop"},
            ['root_path "/shop"', "proxy_set_header Host", "X-Forwarded-Proto", "ProxyFixMiddleware"],
            [],
        ),
        ("http://site.example", {}, ["does not know that the proxy speaks http"], ["proxy_set_header Host"]),
    ],
)
def test_refused_answer_of_own_page_logs_proxy_advice(
    origin: str, more: Any, parts: list[str], not_parts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert posted(origin, **more).status == 403
    (line,) = warnings(caplog)
    assert [part for part in parts if part not in line] == []
    assert [part for part in not_parts if part in line] == []
    assert DOCS in line


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "https://www.site.example"), ("sec-fetch-site", "same-site")],
        [("origin", "null")],
        [("origin", "nothing")],
        [("origin", "https://site.example"), ("origin", "https://evil.example")],
    ],
)
def test_refused_answer_of_other_site_logs_no_advice(
    headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    assert call(install(), "POST", PREFIX, [JSON, *headers], ACCEPT).status == 403
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://" + "x" * 5000, "site.example"),
        ("https://site.example", "y" * 5000),
        ('https://a"\r\n\x1b[31m\xe9', "b\r\n\x00\xff"),
    ],
)
def test_advice_is_one_short_ascii_line(origin: str, host: str, caplog: pytest.LogCaptureFixture) -> None:
    assert posted(origin, host=host.encode("latin-1").decode("latin-1")).status == 403
    for line in warnings(caplog):
        assert len(line) < 1200
        assert line.isascii()
        assert line.isprintable()


# The documented settings.


@contextmanager
def served(site: str, *options: str, **environ: str) -> Iterator[int]:
    """Start a site with uvicorn, with further variables of the environment; return its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", f"tests.support.sites.{site}", "--port", str(port)]
    with running_program([*command, *options], env={**os.environ, **environ}):
        yield port


@contextmanager
def proxied(folder: Path, config: str) -> Iterator[None]:
    """Start nginx with a documented server block."""
    assert NGINX is not None
    main = folder / "nginx.conf"
    # As root, its workers would be another user, who may not write into our folder.
    user = "user root; " if os.geteuid() == 0 else ""
    main.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ access_log off; "
        f"{''.join(f'{kind}_temp_path {folder}/{kind}; ' for kind in TEMPORARY)}\n{config}\n}}"
    )
    command = [NGINX, "-e", str(folder / "error.log"), "-c", str(main)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr
    with running_program(command):
        yield


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def certificate(folder: Path) -> tuple[Path, Path]:
    pem, key = folder / "example.jp.pem", folder / "example.jp.key"
    openssl = [program_path("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=example.jp", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*openssl, *names], check=True, capture_output=True, timeout=60)
    return pem, key


def answer_through(port: int) -> httpx.Response:
    """Wait for the site, and answer at https://example.jp as a browser without Fetch Metadata does."""
    trusts_any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusts_any.check_hostname = False
    trusts_any.verify_mode = ssl.CERT_NONE
    headers = {"host": f"example.jp:{port}", "origin": f"https://example.jp:{port}"}
    replies = [httpx.Response(502)]
    with httpx.Client(verify=trusts_any, headers=headers, timeout=60) as client:

        def is_answered() -> bool:
            replies.append(client.post(f"https://127.0.0.1:{port}{PREFIX}", json={"choice": "accept_all"}))
            return replies[-1].status_code != 502

        wait_until(is_answered, 60, ignoring=(httpx.TransportError,))
    return replies[-1]


@pytest.mark.full_matrix
@needs_nginx
@pytest.mark.parametrize("complete", [True, False], ids=["as documented", "without proxy_set_header"])
@pytest.mark.server
def test_documented_nginx_settings_let_answers_through(tmp_path: Path, complete: bool) -> None:
    (config,) = blocks(DOCS, "nginx")
    port = free_port()
    pem, key = certificate(tmp_path)
    (options,) = re.findall(r"`uvicorn app:app (--proxy[^`]*)`", Path(DOCS).read_text())
    with served("live_site:site", *options.split(), ACCESS_LOG=f"{tmp_path}/access.jsonl") as site:
        config = config.replace("listen 443", f"listen {port}").replace("/etc/ssl/example.jp.pem", str(pem))
        config = config.replace("/etc/ssl/example.jp.key", str(key)).replace("127.0.0.1:8000", f"127.0.0.1:{site}")
        if not complete:
            config = re.sub(r"proxy_set_header [^;]*;", "", config)
        with proxied(tmp_path, config):
            response = answer_through(port)
    assert response.status_code == (200 if complete else 403)
    names = [line.partition("=")[0] for line in response.headers.get_list("set-cookie")]
    assert names == (["__Host-consent", "__Host-visitor"] if complete else [])


@pytest.mark.requirement("LP-06")
@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.full_matrix)], ids=["hypercorn", "granian"])
@pytest.mark.server
def test_documented_wrapper_sets_scheme_and_client(number: int) -> None:
    code = blocks(DOCS, "python")[number]
    seen: list[Any] = []
    inner = install()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["scheme"], scope["client"][0]))
        await inner(scope, receive, send)

    given: dict[str, Any] = {"app": noting}
    exec(compile(code, DOCS, "exec"), given)  # noqa: S102
    forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-for", "198.41.0.4"), ("origin", "https://site.example")]
    request = scope("POST", PREFIX, [JSON, *forwarded], scheme="http", client=("127.0.0.1", 5000))
    reply = asyncio.run(response_to(given["app"], request, bodies(ACCEPT)))
    assert seen == [("https", "198.41.0.4")]
    assert (reply.status, list(reply.set_cookies)) == (200, ["__Host-consent"])


@pytest.mark.parametrize(
    ("server", "listens"),
    [
        ("uvicorn", "--port={}"),
        pytest.param("hypercorn", "--bind=127.0.0.1:{}", marks=pytest.mark.full_matrix),
        pytest.param("granian", "--port={}", marks=pytest.mark.full_matrix),
        pytest.param("gunicorn", "--bind=127.0.0.1:{}", marks=pytest.mark.full_matrix),
        pytest.param("gunicorn with uvicorn's workers", "--bind=127.0.0.1:{}", marks=pytest.mark.full_matrix),
    ],
)
@pytest.mark.server
def test_documented_way_of_each_server_says_the_path_that_the_proxy_removes(
    tmp_path: Path, server: str, listens: str
) -> None:
    page = Path(DOCS).read_text("utf-8").partition("how it knows that the app is under")[2]
    row = next(line for line in page.splitlines() if line.startswith(f"| {server} |"))
    program, *options = row.split("`")[1].split()
    (tmp_path / "app.py").write_text("from tests.support.sites.live_site import site\napp = site()\n")
    (tmp_path / "worker.py").write_text(blocks(DOCS, "python")[2])
    port = free_port()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with running_program([sys.executable, "-m", program, *options, listens.format(port)], env=env):
        wait_for_port(port)
        settings = httpx.get(f"http://127.0.0.1:{port}{PREFIX}", timeout=60).text
        form, same_origin = {"choice": "refuse_all"}, {"sec-fetch-site": "same-origin"}
        answered = httpx.post(f"http://127.0.0.1:{port}{PREFIX}", data=form, headers=same_origin, timeout=60)
    assert f'action="/shop{PREFIX}"' in settings
    assert f'action="{PREFIX}"' not in settings
    assert answered.status_code == 303
