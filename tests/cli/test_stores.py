"""Tests of access logs and ledgers that commands open: what goes wrong with them is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.cli.frame import UnusableError
from cookie_consent.cli.stores import existing_sink


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "cannot be used: No space left on device."),
        (RuntimeError("no route to the server\nmore"), "the database cannot be used: no route to the server"),
    ],
)
def test_error_of_an_access_log_is_one_sentence(error: Exception, said: str, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    log.touch()
    with pytest.raises(UnusableError, match=said), existing_sink(str(log)):
        raise error
