"""Tests of docs/how-to/wrap-a-wsgi-app.md, with Flask."""

from __future__ import annotations

import flask
import pytest
from asgiref.wsgi import WsgiToAsgi

from tests.support.asgi import Visitor, install
from tests.support.documentation import blocks, run, visit


@pytest.mark.usefixtures("site_folder")
def test_flask_app_asks_and_follows_the_answer_as_the_page_says() -> None:
    app = run(*blocks("docs/how-to/wrap-a-wsgi-app.md", "python"))["app"]
    asked, _, granted, _, refused = visit(app, "/", "accept_all", "/", "refuse_all", "/")
    assert "refuse_all" in asked.text
    assert asked.headers["cache-control"] == "private"
    for page in (asked, refused):
        assert "The map needs your consent." in page.text
    assert "Here is the map." in granted.text


@pytest.mark.filterwarnings("ignore:async_to_sync was passed a non-async-marked callable:UserWarning")
def test_cookies_are_held_back_through_asgiref_too() -> None:
    site = flask.Flask("site")

    @site.get("/")
    def home() -> flask.Response:
        response = flask.make_response(f"<!doctype html><html><title>t</title><body>{sorted(flask.request.cookies)}")
        response.set_cookie("_ga", "1")
        response.set_cookie("session", "2")
        return response

    visitor = Visitor(install(WsgiToAsgi(site)))  # type: ignore[no-untyped-call]
    visitor.jar |= {"_ga": "1", "session": "1"}
    asking = visitor.get()
    assert list(asking.set_cookies) == ["session"]
    assert "['session']" in asking.text
    visitor.accept()
    allowed = visitor.get()
    assert list(allowed.set_cookies) == ["_ga", "session"]
    assert "'_ga'" in allowed.text


def test_wsgi_apps_of_flask_stop_the_start_with_the_way_out() -> None:
    site = flask.Flask("site")
    for app in (site, site.wsgi_app):
        with pytest.raises(ValueError, match=r"It is a WSGI app.*a2wsgi\.WSGIMiddleware\(app\)"):
            install(app)  # type: ignore[arg-type]
