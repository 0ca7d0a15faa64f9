"""Tests of docs/frameworks.md, and of the integration that its example uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpResponse
from django.template import engines
from django.test import Client, override_settings
from django.test.runner import DiscoverRunner
from starlette.types import Receive, Scope, Send

from cookie_consent import consent_of
from cookie_consent.cli.main import main
from cookie_consent.integrations.django import consent_context
from tests.frameworks.newcomer import BROWSER, SAME_ORIGIN, lifetimes, load, running, start_example
from tests.frameworks.page import ROOT, page
from tests.support.asgi import call, install, page_app
from tests.support.servers.processes import free_port, running_program, wait_for_port

PAGE = page("django")
DAY = 86_400
OFF, ON = "The map is switched off.", "<iframe"


FIRST_STEPS = """
import asyncio, os
from django.conf import empty, settings
from django.urls import clear_url_caches
from starlette.types import Receive, Scope, Send

from cookie_consent import consent_of
from cookie_consent.integrations.django import consent_context
from tests.frameworks.newcomer import run_tests, take_first_steps
from tests.frameworks.page import ROOT, page

asyncio.run(take_first_steps(page("django")))
settings._wrapped = empty  # the tests run in a process of their own
clear_url_caches()
os.mkdir("tests_of_the_page")
os.chdir("tests_of_the_page")
run_tests(page("django"))
"""


@pytest.mark.slow
def test_first_steps_of_the_page_lead_to_a_record_and_its_tests_pass(folder: Path) -> None:
    """A process has the settings of one Django app. This one has those of the example."""
    subprocess.run(
        [sys.executable, "-c", FIRST_STEPS], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60
    )


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The example, with its database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("django"))
        patch.setenv("CONSENT_KEY", "a key of the tests, long enough to be one")
        made = start_example(PAGE, "cookie-consent init --languages en,ja")
        call_command("migrate", verbosity=0)
        yield made
        connections.close_all()


@pytest.mark.anyio
async def test_cookies_of_the_example_pass_before_consent_and_last_as_declared(example: Any) -> None:
    async with running(example.app) as visitor:
        form = await visitor.get("/offices")
        token = {"csrfmiddlewaretoken": visitor.cookies["csrftoken"]}
        sent = await post(visitor, "/offices", token)
        thanks = await visitor.get("/offices")
        chosen = await post(visitor, "/i18n/setlang/", token | {"language": "ja", "next": "/offices"})
        japanese = await visitor.get("/offices")
    assert lifetimes(form) == {"csrftoken": 364 * DAY}
    assert lifetimes(sent) == {"messages": None}
    assert "Thank you." in thanks.text
    assert lifetimes(chosen) == {"django_language": None}
    assert "地図は表示していません" in japanese.text


async def post(visitor: httpx.AsyncClient, path: str, form: dict[str, str]) -> httpx.Response:
    return await visitor.post(path, data=form, headers={"referer": f"http://localhost:8000{path}"})


@pytest.mark.anyio
@pytest.mark.slow
async def test_admin_of_the_example_is_left_out_and_its_cookies_pass_before_consent(example: Any) -> None:
    from django.contrib.auth.models import User

    await User.objects.acreate_superuser("hanako", password="a word of the tests")
    async with running(example.app) as visitor:
        form = await visitor.get("/admin/login/")
        answer = {"username": "hanako", "password": "a word of the tests", "next": "/admin/"}
        signed_in = await post(visitor, "/admin/login/", answer | {"csrfmiddlewaretoken": visitor.cookies["csrftoken"]})
        admin = await visitor.get("/admin/")
    assert "privacy-choices" not in form.text + admin.text
    assert lifetimes(signed_in) == {"csrftoken": 364 * DAY, "sessionid": 14 * DAY}
    assert "Site administration" in admin.text


@pytest.mark.anyio
async def test_features_of_the_example_follow_the_answer(example: Any) -> None:
    paths = ("/suggestions", "/tour", "/live", "/offices")
    async with running(example.app) as visitor:
        off = [(await visitor.get(path)).text for path in paths]
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        on = [(await visitor.get(path)).text for path in paths]
    assert (off[0], on[0]) == ('{"for": "everybody"}', '{"for": "you"}')
    assert all(OFF in page and 'value="grant"' in page for page in off[1:])
    assert all("The film" in page for page in on[1:3])
    # The card waits beside its content.
    assert [ON in part for part in off[3].partition("<template")] == [False, False, True]
    assert ON in on[3].partition("<template")[0]
    assert ["Maps and videos are allowed." in page for page in (off[3], on[3])] == [False, True]
    assert "privacy-choices?language=en" in off[3]


@pytest.mark.anyio
async def test_language_of_locale_middleware_is_that_of_all_texts(example: Any) -> None:
    async with running(example.app) as visitor:
        for path in ("/offices", "/tour"):
            text = (await visitor.get(path, headers={"accept-language": "ja"})).text
            assert "地図は表示していません" in text
            assert OFF not in text


def test_language_is_left_to_the_page_without_locale_middleware(example: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = SimpleNamespace(scope=scope)
        assert consent_context(request)["consent"] is consent_of(request)
        assert consent_of(request).app_language is None
        request.LANGUAGE_CODE = "ja"
        consent_context(request)
        assert consent_of(request).language == "ja"
        await page_app()(scope, receive, send)

    assert call(install(app)).status == 200


@pytest.mark.anyio
async def test_page_that_prints_nothing_of_ours_stays_the_same_for_everybody(example: Any) -> None:
    """The context processor runs for each template."""
    help_page = engines["django"].from_string("<title>Help</title>")
    view = example.path("admin-help", lambda request: HttpResponse(help_page.render({}, request)))
    with override_settings(ROOT_URLCONF=(view,)):
        async with running(install(get_asgi_application(), inject=["/admin*"])) as visitor:
            reply = await visitor.get("/admin-help")
    assert reply.text == "<title>Help</title>"
    assert "cookie" not in reply.headers["vary"].lower()


@pytest.mark.usefixtures("example")
def test_wsgi_app_of_django_stops_the_start_with_the_way_out() -> None:
    way_out = r"It is a WSGI app. Django has get_asgi_application\(\).*asgiref\.wsgi\.WsgiToAsgi\(app\)"
    with pytest.raises(ValueError, match=way_out):
        install(get_wsgi_application())


@pytest.mark.anyio
async def test_compressed_page_of_the_example_has_the_question(example: Any) -> None:
    async with running(example.app) as visitor:
        page = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert "refuse_all" in page.text


@pytest.mark.slow
def test_tests_of_the_example_pass_with_the_database(example: Any) -> None:
    load(PAGE.example.with_name("django_tests.py"))
    assert DiscoverRunner(verbosity=0, interactive=False).run_tests(["django_tests"]) == 0


def test_client_of_django_gets_pages_without_what_waits_for_consent(example: Any) -> None:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        client = Client()
        text = client.get("/offices").content.decode()
        assert ON not in text
        assert "privacy" not in text
        with pytest.raises(RuntimeError, match="around Django's app"):
            client.get("/tour")
    with (
        override_settings(ALLOWED_HOSTS=["testserver"], DEBUG=True),
        pytest.warns(UserWarning, match="no consent decision on this request"),
    ):
        client.get("/offices")


# Servers that are told to end: Django has no lifespan.


@pytest.mark.server
@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "app:app", "--port", "{port}"],
        pytest.param(["hypercorn", "app:app", "--bind", "127.0.0.1:{port}"], marks=pytest.mark.full_matrix),
        pytest.param(["granian", "app:app", "--interface", "asgi", "--port", "{port}"], marks=pytest.mark.full_matrix),
    ],
    ids=lambda command: command[0],
)
def test_last_record_is_in_the_file_when_the_server_has_ended(command: list[str], folder: Path) -> None:
    main(["init"])
    (folder / "app.py").write_text(PAGE.files["app.py"], encoding="utf-8")
    port = free_port()
    words = [word.format(port=port) for word in command]
    with (
        running_program([sys.executable, "-m", *words]) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BROWSER, trust_env=False, timeout=30) as visitor,
    ):
        wait_for_port(port)
        visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        for _ in range(3):
            visitor.get("/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    records = (folder / "logs" / "access.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(record)["url.path"] for record in records] == ["/"] * 3
    assert '"granted"' in (folder / "logs" / "access.counts.jsonl").read_text(encoding="utf-8")
