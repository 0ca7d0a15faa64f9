"""Tests of what the log says at the start about a policy that does less than it seems to."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from cookie_consent.enforcement.csp.advice import advice
from tests.enforcement.csp.test_edit_csp import MAPS, RECIPIENTS
from tests.support.asgi import SITE, Visitor, install, page_app, policy

GOOD = "default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; form-action https:"
SCRIPTS = RECIPIENTS.replace('["connect"]', '["script"]')


def said(csp: str, text: str = RECIPIENTS) -> list[str]:
    return advice(policy(f'{text}\n[security]\ncontent_security_policy = "{csp}"\n'))


def test_good_policy_needs_no_advice() -> None:
    assert said(GOOD) == []
    assert advice(policy(RECIPIENTS)) == []


@pytest.mark.parametrize(
    ("csp", "text", "advised"),
    [
        ("script-src 'strict-dynamic'; default-src 'self'", RECIPIENTS, "browsers ignore the hosts listed for scripts"),
        ("script-src 'Strict-Dynamic'; default-src 'self'", SCRIPTS, 'does not hold the scripts of "stats" back'),
        ("default-src 'strict-dynamic' 'self'", RECIPIENTS, "browsers ignore the hosts"),
        ("script-src 'self'", RECIPIENTS, "by img-src, connect-src, frame-src, style-src-elem, font-src, media-src"),
        ("default-src 'self'", SITE, 'no policy will ever name the origins of the recipients "maps"'),
        ("default-src 'self'; img-src *", RECIPIENTS, 'img-src * lets a page reach "maps"'),
        ("default-src 'self'; connect-src https:", RECIPIENTS, 'connect-src https: lets a page reach "maps"'),
        ("default-src 'self'; style-src *.example.com", RECIPIENTS, 'style-src *.example.com lets a page reach "maps"'),
        ("default-src 'self'; form-action 'none'", RECIPIENTS, "visitors without JavaScript cannot answer"),
    ],
)
def test_policy_that_does_less_than_it_seems_to_is_advised_on(csp: str, text: str, advised: str) -> None:
    assert advised in " ".join(said(csp, text))


def test_source_of_necessary_recipient_is_meant() -> None:
    text = RECIPIENTS.replace('purpose = "media"\norigins', 'purpose = "necessary"\norigins')
    assert said(f"default-src 'self'; img-src {MAPS}", text) == []


def test_policy_without_default_src_may_name_each_directive() -> None:
    every = "script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; style-src 'self'"
    assert said(f"{every}; font-src 'self'; media-src 'self'") == []


@pytest.mark.parametrize(
    ("csp", "advised"),
    [
        ("default-src 'self'; form-action 'self'", []),
        ("default-src 'self', form-action 'self'", []),
        ("default-src 'self'", ["has no form-action"]),
        ("script-src 'nonce-N' 'strict-dynamic'; form-action 'self'", ['the scripts of "stats" back']),
        ("script-src 'nonce-N' 'strict-dynamic'", ["has no form-action", "'strict-dynamic'"]),
    ],
)
def test_log_says_once_what_policy_of_the_app_does_not_do(
    csp: str, advised: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    numbers = iter(range(99))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        field = csp.replace("N", f"{next(numbers):022}")
        await page_app(headers=[("content-security-policy", field)])(scope, receive, send)

    visitor = Visitor(install(app, SCRIPTS, csp="edit"))
    for _ in range(3):
        visitor.get()
        visitor.accept()
    assert len(caplog.messages) == len(advised)
    assert all(words in message for words, message in zip(advised, caplog.messages, strict=True))


@pytest.mark.parametrize(("csp", "lines"), [(None, 0), ("edit", 0), ("enforce", 1), ("report", 1)])
def test_log_says_it_at_the_start(csp: str | None, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    install(text=SITE, csp=csp)
    assert len(caplog.messages) == lines
