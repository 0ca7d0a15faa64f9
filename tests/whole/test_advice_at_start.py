"""Tests of what the start says of a policy that visitors should not read as it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.main import main
from tests.support.asgi import SITE, install

GOOGLE = """
[[recipients]]
id = "google"
name = "Google LLC"
purpose = "analytics"
receives = { en = "IP address", ja = "IPアドレス" }
"""


def test_policy_as_init_writes_it_is_told_at_each_start_and_check_ends_with_1(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "consent.toml"
    assert main(["init", str(path), "--languages", "en"]) == 0
    caplog.set_level(logging.WARNING, "cookie_consent.policy")
    for starts in (1, 2):
        install(text=path.read_text(encoding="utf-8"))
        lines = [line for line in caplog.messages if line.startswith("The policy still says ")]
        assert len(lines) == starts
    assert '"Example Co., Ltd."' in lines[0]
    assert "`cookie-consent check` names each" in lines[0]
    capsys.readouterr()
    assert main(["check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{path} still has examples: version ")
    assert "[site] key \"controller\": 'Example Co., Ltd.' is an example. Write the real one." in err


def test_cookie_of_a_third_party_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "cookie_consent.policy")
    own = SITE.replace("site.example", "site.jp").replace("maps.example.com", "maps.jp")
    install(text=own.replace("_ga_session", "basket"), csp="enforce")
    (line,) = caplog.messages
    assert line.startswith('[[cookies]] "_ga*" key "name": cookies of this name are those of Google, and visitors do')
    caplog.clear()
    install(text=own + GOOGLE, csp="enforce")
    (line,) = caplog.messages
    assert line.startswith('[[cookies]] "_ga_session" key "purpose": cookies of this name are those of Google')
    caplog.clear()
    install(text=own.replace("_ga_session", "basket") + GOOGLE, csp="enforce")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, ' csp="enforce" has browsers hold back the rest.'),
        ({"shared_pages": True}, ""),
        ({"csp": "enforce"}, None),
    ],
)
def test_start_says_that_pages_load_from_recipients_before_anybody_answers(
    options: dict[str, Any], remedy: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cookie_consent.policy")
    said = (
        'What pages load from "Maps Inc." waits for an answer only where data-purpose marks it (docs/gated.md).'
        f"{remedy}"
    )
    for text in (SITE, SITE.replace('origins = ["https://maps.example.com"]\n', "")):
        caplog.clear()
        install(text=text, **options)
        lines = [line for line in caplog.messages if line.startswith("What pages load")]
        assert lines == ([said] if remedy is not None and text == SITE else [])
