"""Tests of notices to the help desk: by mail and by a function, failures, limits and the option desk."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.visitors.help_desk_notice import MAX_PER_HOUR, DeskNotifier, MailBox, desk_notifier_of, notice_of
from tests.support.asgi import run
from tests.support.desk import help_desk_request
from tests.support.policies import NOW
from tests.support.servers.mail_server import HOST, MailServer, make_certificate, tls_context

NOTICE = notice_of(help_desk_request(reference="R-2222-3333", kind="erase"), "Test Registry")
TO = "to=desk@home.example&from=site@home.example"
RIGHT = r"smtp://user:password@mail\.example\.jp:587\?to=desk@example\.jp&from=site@example\.jp"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def mailed(server: MailServer, url: str, notice: dict[str, Any] = NOTICE) -> MailServer:
    """Send a notice by mail to a running server, and return the server. The URL contains {port}."""

    async def tell() -> None:
        async with server.running():
            desk = desk_notifier_of(url.format(port=server.port))
            assert desk is not None
            await desk.notify(notice, NOW)

    run(tell())
    return server


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


# The notice.


def test_notice_has_nothing_that_visitor_wrote() -> None:
    request = help_desk_request(text="Secret text", address="me@home.example", consent_id="c")
    notice = notice_of(request, "Site")
    assert notice == {
        "reference": request.reference,
        "kind": "see",
        "due_at": "2025-07-15T15:06:40Z",
        "site": "Site",
        "read": f"cookie-consent requests show {request.reference}",
    }


# By mail.


def test_mail_names_request_and_show_command() -> None:
    server = mailed(MailServer(), f"smtp://{HOST}:{{port}}?{TO}")
    (mail,) = server.mails
    assert (mail["from"], mail["to"]) == ("site@home.example", "desk@home.example")
    assert mail["subject"] == "Test Registry: erase, R-2222-3333, due 2025-07-15"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["message-id"].endswith("@home.example>")
    assert mail["date"]
    assert "cookie-consent requests show R-2222-3333" in mail.get_content()
    assert "AUTH" not in server.commands


def test_first_of_several_recipients_is_default_sender() -> None:
    server = mailed(MailServer(), f"smtp://{HOST}:{{port}}?to=one+desk@home.example,two@home.example")
    (mail,) = server.mails
    assert (mail["from"], mail["to"]) == ("one+desk@home.example", "one+desk@home.example, two@home.example")
    assert server.commands.count("RCPT") == 2


def test_site_name_cannot_inject_mail_headers(caplog: pytest.LogCaptureFixture) -> None:
    notice = {**NOTICE, "site": "登録所\r\nBcc: all@home.example"}
    (mail,) = mailed(MailServer(), f"smtp://{HOST}:{{port}}?{TO}", notice).mails
    assert mail["subject"] == "登録所 Bcc: all@home.example: erase, R-2222-3333, due 2025-07-15"
    assert mail["bcc"] is None
    assert "登録所" in mail.get_content()
    assert caplog.records == []


def test_smtp_uses_starttls_unless_switched_off(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    server = mailed(MailServer(tls_context(pem)), f"smtp://me%40home:p%2Fw@{HOST}:{{port}}?{TO}")
    assert (server.encrypted, server.logins) == ([True], [("me@home", "p/w")])
    server = mailed(MailServer(tls_context(pem)), f"smtp://me:pw@{HOST}:{{port}}?{TO}&starttls=no")
    assert (server.encrypted, server.logins) == ([False], [("me", "pw")])


def test_smtps_encrypts_from_the_start(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    server = mailed(MailServer(tls_context(pem), from_the_start=True), f"smtps://me:pw@{HOST}:{{port}}?{TO}")
    assert (server.encrypted, server.logins) == ([True], [("me", "pw")])
    assert "STARTTLS" not in server.commands


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_server_with_wrong_certificate_gets_no_password(
    scheme: str, pem: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = mailed(
        MailServer(tls_context(pem), from_the_start=scheme == "smtps"), f"{scheme}://me:hidden@{HOST}:{{port}}?{TO}"
    )
    assert (server.mails, server.logins) == ([], [])
    (warning,) = warnings(caplog)
    assert "SSLCertVerificationError" in warning
    assert "hidden" not in warning


def test_password_is_not_sent_without_encryption(caplog: pytest.LogCaptureFixture) -> None:
    server = mailed(MailServer(), f"smtp://me:hidden@{HOST}:{{port}}?{TO}")
    assert (server.mails, server.logins) == ([], [])
    (warning,) = warnings(caplog)
    assert "offers no STARTTLS" in warning
    assert "starttls=no" in warning
    assert "hidden" not in warning


@pytest.mark.parametrize("command", ["RCPT", "MAIL", "DATA", "AUTH"])
def test_refusal_by_mail_server_is_logged(command: str, caplog: pytest.LogCaptureFixture) -> None:
    server = mailed(MailServer(refuses=command), f"smtp://me:hidden@{HOST}:{{port}}?{TO}&starttls=no")
    assert server.mails == []
    (warning,) = warnings(caplog)
    assert "550" in warning
    assert "requests list" in warning
    assert "hidden" not in warning


def test_silent_mail_server_times_out(caplog: pytest.LogCaptureFixture) -> None:
    server = MailServer(silent=True)

    async def tell() -> None:
        async with server.running():
            box = MailBox.of(f"smtp://{HOST}:{server.port}?{TO}")
            await DeskNotifier(box.send, longest=0.05).notify(NOTICE, NOW)

    run(tell())
    (warning,) = warnings(caplog)
    assert "TimeoutError: no answer within 0.05 seconds" in warning


# By a function.


def test_desk_function_runs_in_its_own_thread() -> None:
    told: list[tuple[dict[str, Any], str]] = []
    desk = desk_notifier_of(lambda notice: told.append((notice, threading.current_thread().name)))
    assert desk is not None
    run(desk.notify(NOTICE, NOW))
    assert told[0][0] == {**NOTICE, "quiet_until": None}
    assert told[0][1].startswith("help-desk")


def test_async_desk_function_runs_in_servers_event_loop() -> None:
    told: list[asyncio.AbstractEventLoop] = []

    class Channel:
        async def __call__(self, notice: dict[str, Any]) -> None:
            told.append(asyncio.get_running_loop())

    async def tell() -> None:
        await DeskNotifier(Channel()).notify(NOTICE, NOW)
        assert told == [asyncio.get_running_loop()]

    run(tell())


def test_hanging_desk_function_times_out_and_blocks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    goes_on = threading.Event()
    told: list[str] = []

    def hang(notice: dict[str, Any]) -> None:
        goes_on.wait()
        told.append(notice["reference"])

    async def tell() -> None:
        desk = DeskNotifier(hang, longest=0.05)
        await asyncio.gather(*(desk.notify({**NOTICE, "reference": str(number)}, NOW) for number in range(20)))
        assert await asyncio.to_thread(lambda: "other threads are free") == "other threads are free"
        goes_on.set()

    run(tell())
    assert len(warnings(caplog)) == 1
    assert len(told) <= 2


def test_each_kind_of_failure_is_logged_once_until_next_success(caplog: pytest.LogCaptureFixture) -> None:
    what: list[Exception | None] = [
        *(OSError("first"), OSError("second"), KeyError("third"), OSError("fourth")),
        *(None, OSError("fifth"), OSError("sixth")),
    ]

    def fail(notice: dict[str, Any]) -> None:
        error = what.pop(0)
        if error:
            raise error

    async def tell() -> None:
        desk = DeskNotifier(fail)
        while what:
            await desk.notify(NOTICE, NOW)

    run(tell())
    messages = warnings(caplog)
    assert [next(word for word in ("first", "third", "fifth") if word in warning) for warning in messages] == [
        *("first", "third", "fifth")
    ]


def test_failure_of_async_desk_function_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(notice: dict[str, Any]) -> None:
        raise RuntimeError("no")

    run(DeskNotifier(fail).notify(NOTICE, NOW))
    assert len(warnings(caplog)) == 1


# The limit.


def notify_at(desk: DeskNotifier, times: list[float]) -> None:
    async def tell() -> None:
        for number, time in enumerate(times):
            await desk.notify({**NOTICE, "reference": str(number)}, time)

    run(tell())


def test_notices_are_limited_per_hour_and_last_announces_pause() -> None:
    told: list[dict[str, Any]] = []
    times = [float(NOW + number) for number in range(MAX_PER_HOUR + 50)]
    desk = DeskNotifier(told.append)
    notify_at(desk, [*times, NOW + 3599, NOW + 3600, NOW + 3601])
    expected = [*(str(number) for number in range(MAX_PER_HOUR)), str(len(times) + 1), str(len(times) + 2)]
    assert [notice["reference"] for notice in told] == expected
    quiet = [notice["quiet_until"] for notice in told]
    assert quiet == [*[None] * (MAX_PER_HOUR - 1), "2025-06-15T16:06:40Z", None, None]
    notify_at(desk, [NOW - 7200.0])
    assert len(told) == len(expected) + 1  # the clock was put back, and notices are sent all the same


def test_failed_notices_do_not_count_towards_hourly_limit() -> None:
    told: list[str] = []
    away = [True]

    def tell(notice: dict[str, Any]) -> None:
        if away[0]:
            raise ConnectionError("gone")
        told.append(notice["reference"])

    desk = DeskNotifier(tell)
    notify_at(desk, [float(NOW)] * (2 * MAX_PER_HOUR))
    away[0] = False
    notify_at(desk, [float(NOW)] * (2 * MAX_PER_HOUR))
    assert told == [str(number) for number in range(MAX_PER_HOUR)]


def test_last_mail_of_hour_names_command_that_lists_requests() -> None:
    box = MailBox.of(f"smtp://{HOST}?{TO}")
    text = box.mail({**NOTICE, "quiet_until": "2025-06-15T16:06:40Z"}).get_content()
    assert "Until 2025-06-15T16:06:40Z no other mail will" in text
    assert "\n    cookie-consent requests list\n" in text
    assert "Until" not in box.mail({**NOTICE, "quiet_until": None}).get_content()


# The option.


def test_desk_option_none_notifies_nobody() -> None:
    assert desk_notifier_of(None) is None


@pytest.mark.parametrize(
    ("url", "box"),
    [
        (f"smtp://mail.example?{TO}", ("mail.example", 587, False, True, "", "")),
        (f"smtps://u:p@mail.example/?{TO}", ("mail.example", 465, True, True, "u", "p")),
        (f"smtp://u%40x:p%3A%25@[::1]:25?{TO}&starttls=no", ("::1", 25, False, False, "u@x", "p:%")),
    ],
)
def test_mail_url_is_parsed(url: str, box: tuple[object, ...]) -> None:
    read = MailBox.of(url)
    assert (read.host, read.port, read.encrypted, read.starttls, read.user, read.password) == box
    assert (read.to, read.sender) == (("desk@home.example",), "site@home.example")


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            "smtp",
            "smtp://",
            f"smtp:///path?{TO}",
            f"smtp://host/path?{TO}",
            f"http://host?{TO}",
            f"smtp://host?{TO}#x",
        ),
        *("smtp://host", "smtp://host?to=", "smtp://host?to=desk", f"smtp://host?{TO}&from=x", f"smtp://host?{TO},"),
        *(f"smtp://host:port?{TO}", f"smtp://host:0?{TO}", f"smtp://host:99999?{TO}", f"smtp://host?{TO}&cc=a@b.c"),
        *(f"smtp://host?{TO}&starttls=yes", f"smtp://host?{TO}&starttls=", f"smtp://[::1?{TO}"),
        *("smtp://host?to=a@b.c%0d%0aBcc:x@y.z", 7, object(), ["smtp://host"]),
    ],
)
def test_invalid_desk_option_is_refused_with_example(given: Any) -> None:
    with pytest.raises(ValueError, match=rf"^desk: .*{RIGHT}"):
        desk_notifier_of(given)


@pytest.mark.parametrize(
    "url", ["smtp://u:hid/den@h", "smtp://u:hid?den@h", "smtp://u:hid#den@h", "smtp://u:hid℀den@h?to=x"]
)
def test_password_is_in_no_error_message(url: str) -> None:
    with pytest.raises(ValueError, match=r"^desk: ") as raised:
        desk_notifier_of(url)
    assert "hid" not in str(raised.value)
    assert "hid" not in repr(raised.value.__context__)
    assert "hidden" not in repr(MailBox.of(f"smtp://u:hidden@h?{TO}"))
