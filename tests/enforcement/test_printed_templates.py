"""What waits in a template is printed by the server for visitors who allow it, also in pages that are streamed."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.sinks import MemorySink
from tests.support.asgi import SITE, Visitor, bodies, drive, install, reply_app, response_to, run
from tests.support.asgi import scope as request

MAP = '<template data-purpose="media"><iframe src="/map"></iframe></template>'
PRINTED = MAP.replace('<template data-purpose="media">', " " * 31).replace("</template>", " " * 11)
PAGE = f'<!doctype html><html lang="en"><head><title>t</title></head><body>{MAP}<p>text</p></body></html>'
HTML = [("accept", "text/html"), ("user-agent", "Mozilla/5.0")]


def streaming_app(size: int) -> ASGIApp:
    """Return an app that sends the page in parts of as many bytes."""
    page = PAGE.encode()
    parts = [page[at : at + size] for at in range(0, len(page), size)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


APPS = {"whole": reply_app(PAGE.encode(), "text/html"), "streamed": streaming_app(20), "by byte": streaming_app(1)}


@pytest.mark.parametrize("settings_link", [True, False])
@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_allowed_content_is_printed_on_every_page(app: ASGIApp, settings_link: bool) -> None:
    visitor = Visitor(install(app, settings_link=settings_link), HTML)
    assert MAP in visitor.get().text
    visitor.accept()
    for _ in range(3):
        page = visitor.get()
        assert PRINTED in page.text
        assert "Cookie" in page.get("vary")
        assert page.get("content-length") in ("", str(len(page.body)))
    visitor.post({"choice": "save", "purposes": {"analytics": True}})
    assert MAP in visitor.get().text


def test_page_that_grew_a_template_is_printed() -> None:
    body = [PAGE.replace(MAP, "")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply_app(body[0].encode(), "text/html")(scope, receive, send)

    visitor = Visitor(install(app, settings_link=True), HTML)
    visitor.accept()
    assert "template" not in visitor.get().text
    assert "template" not in visitor.get().text
    body[0] = PAGE
    assert PRINTED in visitor.get().text


def test_what_is_refused_while_the_page_is_made_is_not_printed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        fields = [("cookie", visitor.cookies), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
        await response_to(visitor.app, request("POST", "/privacy-choices", fields), bodies(b'{"choice": "refuse_all"}'))
        await send({"type": "http.response.body", "body": PAGE.encode()})

    visitor = Visitor(install(app), HTML)
    visitor.accept()
    assert MAP in visitor.get().text


@pytest.mark.parametrize("settings_link", [True, False])
def test_printed_page_cannot_be_shown_again_after_a_withdrawal(settings_link: bool) -> None:
    """With a validator, the browser would be told to show what it has."""
    fields = [(b"content-type", b"text/html"), (b"etag", b'"a"'), (b"last-modified", b"x"), (b"content-digest", b"x")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body.encode()})

    visitor = Visitor(install(app, settings_link=settings_link), HTML)
    visitor.accept()
    body = PAGE
    page = visitor.get()
    assert PRINTED in page.text
    assert not {"etag", "last-modified", "content-digest"} & {name.decode() for name, _ in page.headers}
    body = PAGE.replace(MAP, "")
    assert visitor.get().get("etag").endswith('"a"')


def test_page_whose_start_went_ahead_stays_as_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-type", b"text/html"), (b"etag", b'"a"')]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.debug", "info": {}})
        await send({"type": "http.response.body", "body": PAGE.encode()})

    visitor = Visitor(install(app), HTML)
    visitor.accept()
    _, *sent = run(drive(visitor.app, request(headers=[*HTML, ("cookie", visitor.cookies)])))
    assert sent[-1]["body"] == PAGE.encode()


def test_template_of_a_recipient_is_left_to_the_script() -> None:
    page = PAGE.replace('"media"', '"media" data-service="maps"')
    visitor = Visitor(install(reply_app(page.encode(), "text/html")), HTML)
    visitor.accept()
    assert visitor.get().text == page


@pytest.mark.parametrize("settings_link", [True, False])
def test_withdrawal_while_the_page_is_made_takes_the_new_visitor_cookie_back(
    settings_link: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        fields = [("cookie", visitor.cookies), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
        await response_to(visitor.app, request("POST", "/privacy-choices", fields), bodies(b'{"choice": "refuse_all"}'))
        await send({"type": "http.response.body", "body": PAGE.encode()})

    visitor = Visitor(install(app, access_log=MemorySink(), settings_link=settings_link), HTML)
    visitor.accept()
    del visitor.jar["__Host-visitor"]
    assert visitor.get().set_cookies == {}
    assert "held back" not in caplog.text


def test_app_that_fails_within_a_tag_loses_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<!doctype html><body><p>text</p><templ", "more_body": True})

    visitor = Visitor(install(app), HTML)
    visitor.accept()
    _, *sent = run(drive(visitor.app, request(headers=[*HTML, ("cookie", visitor.cookies)])))
    assert b"".join(message["body"] for message in sent).endswith(b"<p>text</p><templ")


@pytest.mark.parametrize(
    "app", [reply_app(PAGE.encode(), "text/html"), reply_app(PAGE.encode(), "text/plain")], ids=["left", "text"]
)
def test_pages_left_out_and_other_responses_stay_as_they_are(app: ASGIApp) -> None:
    visitor = Visitor(install(app, inject=["/left*"], settings_link=True), HTML)
    visitor.accept()
    assert visitor.get("/left").text == PAGE


def test_content_runs_where_the_law_is_one_of_opting_out() -> None:
    visitor = Visitor(
        install(
            reply_app(PAGE.encode(), "text/html"),
            SITE.replace("[site]", '[site]\nlaws = ["us-optout"]', 1),
            settings_link=True,
            country=lambda _: "US",
        ),
        HTML,
    )
    assert PRINTED in visitor.get().text
