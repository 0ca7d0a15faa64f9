"""Tests of docs/how-to/wrap-a-wsgi-app.md, with Flask."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from asgiref.wsgi import WsgiToAsgi
from starlette.testclient import TestClient

from cookie_consent.cli.init import starter
from tests.support.asgi import Visitor, install
from tests.support.documentation import blocks, run
from tests.support.policies import KEY

PATH = "docs/how-to/wrap-a-wsgi-app.md"
(CODE,) = blocks(PATH, "python")


def flask_app() -> flask.Flask:
    """Return a Flask app that sets cookies and shows those that it gets."""
    site = flask.Flask("site")

    @site.get("/")
    def home() -> flask.Response:
        page = f"<!doctype html><html lang=en><title>t</title><body>{sorted(flask.request.cookies)}</body></html>"
        response = flask.make_response(page)
        response.set_cookie("_ga", "1")
        response.set_cookie("session", "2")
        return response

    return site


def test_flask_app_asks_and_follows_the_answer_as_the_page_says(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "consent.toml").write_text(starter(["en"]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    visitor = Visitor(run(CODE)["app"])
    asking = visitor.get()
    assert "The map needs your consent." in asking.text
    assert "refuse_all" in asking.text
    assert asking.get("cache-control") == "private"
    visitor.accept()
    assert "Here is the map." in visitor.get().text
    visitor.refuse()
    assert "The map needs your consent." in visitor.get().text


@pytest.mark.filterwarnings("ignore:async_to_sync was passed a non-async-marked callable:UserWarning")
def test_cookies_are_held_back_through_asgiref_too() -> None:
    visitor = Visitor(install(WsgiToAsgi(flask_app())))  # type: ignore[no-untyped-call]
    visitor.jar |= {"_ga": "1", "session": "1"}
    asking = visitor.get()
    assert list(asking.set_cookies) == ["session"]
    assert "['session']" in asking.text
    visitor.accept()
    allowed = visitor.get()
    assert list(allowed.set_cookies) == ["_ga", "session"]
    assert "'_ga'" in allowed.text


def test_wsgi_apps_of_flask_stop_the_start_with_the_way_out() -> None:
    site = flask_app()
    for app in (site, site.wsgi_app):
        with pytest.raises(ValueError, match=r"It is a WSGI app.*a2wsgi\.WSGIMiddleware\(app\)") as error:
            install(app)  # type: ignore[arg-type]
        assert PATH in str(error.value)


def test_site_through_asgiref_starts_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    app = install(WsgiToAsgi(flask_app()))  # type: ignore[no-untyped-call]
    caplog.clear()
    with TestClient(app):
        pass
    assert caplog.messages == []
