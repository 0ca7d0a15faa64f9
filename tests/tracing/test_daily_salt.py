"""Tests of the daily salt: visits that are recorded without consent get a pseudonym that lasts one day."""

from __future__ import annotations

import fcntl
import logging
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cookie_consent.tracing.exempt_visitors import DailySalt

DAY = 86_400
NOON = 20_000 * DAY + DAY / 2
MIDNIGHT = 20_001.0 * DAY
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "access.jsonl.salt"


def visitor(salt: DailySalt, now: float, *, site: str = "example.jp", address: str = "192.0.2.0") -> str:
    made = salt.visitor(now, site=site, address=address, agent=AGENT)
    assert made is not None
    return made


def has_no_id(salt: DailySalt, now: float) -> bool:
    return salt.visitor(now, site="example.jp", address="192.0.2.0", agent=AGENT) is None


def counting_salts() -> Callable[[int], bytes]:
    """Return a function that makes the salts 1, 2, 3 …"""
    made = iter(range(1, 100))
    return lambda length: next(made).to_bytes(length, "big")


@pytest.mark.parametrize("shared", [True, False], ids=["in a file", "in memory"])
def test_visitor_id_is_stable_for_one_day(file: Path, shared: bool) -> None:
    salt = DailySalt(file if shared else None)
    today = visitor(salt, MIDNIGHT - DAY)
    assert visitor(salt, MIDNIGHT - 0.001) == today
    assert visitor(salt, MIDNIGHT) != today
    assert re.fullmatch(r"[\w-]{22}", today)  # 128 bits


def test_visitor_id_depends_on_site_address_and_user_agent() -> None:
    salt = DailySalt(None)
    ids = {
        visitor(salt, NOON),
        visitor(salt, NOON, site="shop.example.jp"),
        visitor(salt, NOON, address="198.51.100.0"),
        visitor(salt, NOON, address=""),
        visitor(salt, NOON, site="example.jp192.0.2.0", address=""),
        salt.visitor(NOON, site="example.jp", address="192.0.2.0", agent=b""),
    }
    assert len(ids) == 6


def test_site_name_with_lone_surrogate_gives_an_id() -> None:
    assert visitor(DailySalt(None), NOON, site="\udcff\u00e4")


def test_salt_is_32_random_bytes() -> None:
    assert visitor(DailySalt(None), NOON) != visitor(DailySalt(None), NOON)
    asked: list[int] = []

    def make(length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    visitor(DailySalt(None, make), NOON)
    assert asked == [32]


def test_salt_of_yesterday_is_overwritten_in_place(file: Path) -> None:
    salts = counting_salts()
    salt = DailySalt(file, salts)
    visitor(salt, NOON)
    yesterday, place = (1).to_bytes(32, "big"), file.stat().st_ino
    assert yesterday.hex().encode() in file.read_bytes()
    visitor(salt, NOON + DAY)
    # The new salt is written over the old one, so that the storage no longer has the old one.
    assert file.stat().st_ino == place
    assert yesterday.hex().encode() not in file.read_bytes()
    assert all(yesterday not in bytes(value) for value in vars(salt).values() if isinstance(value, bytes | bytearray))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.slow
def test_processes_of_a_host_share_the_salt(file: Path) -> None:
    program = (
        "import sys; from cookie_consent.tracing.exempt_visitors import DailySalt; "
        f"print(DailySalt({str(file)!r}).visitor({NOON}, site='example.jp', address='192.0.2.0', agent={AGENT!r}))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in running}
    # A process that read the file during the write has no id. None has another id.
    assert said - {"None"} == {visitor(DailySalt(file), NOON)}


def test_salt_file_is_readable_only_by_its_owner(file: Path) -> None:
    visitor(DailySalt(file), NOON)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    visitor(DailySalt(file), NOON)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"consent-salt 00000",
        b" " * 89,
        b"\0" * 89,
        b"consent-salt 0000020000 " + b"zz" * 32 + b"\n",
        b"consent-salt 0000020000 " + b"00" * 31 + b"\n",
        b"consent-salt 0000020000 " + b"00" * 32 + b"\nmore",
        b"consent-salt \xff\xff\n",
    ],
)
def test_damaged_salt_file_gets_new_salt(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    made = visitor(DailySalt(file), NOON)
    assert visitor(DailySalt(file), NOON) == made
    assert re.fullmatch(rb"consent-salt 0000020000 [0-9a-f]{64}\n", file.read_bytes())


def test_process_before_midnight_keeps_salt_of_next_day(file: Path) -> None:
    first, late = DailySalt(file), DailySalt(file)
    next_day = visitor(first, MIDNIGHT)
    assert has_no_id(late, MIDNIGHT - 299)
    assert visitor(late, MIDNIGHT) == next_day


def test_clock_set_back_by_days_gives_new_salt(file: Path) -> None:
    salt = DailySalt(file)
    later = visitor(salt, NOON + 9 * DAY)
    assert visitor(salt, NOON) != later
    assert visitor(salt, NOON + 9 * DAY) != later


@pytest.mark.parametrize("days", [1, 365])
def test_salt_of_future_day_is_replaced_and_logged(days: int, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise, after a clock was ahead, no visit without consent would be recorded until that day."""
    later = visitor(DailySalt(file), NOON + days * DAY)
    assert visitor(DailySalt(file), NOON) == visitor(DailySalt(file), NOON) != later
    assert [record.getMessage() for record in caplog.records] == [
        "The salt of a day to come is replaced by one of today: a clock was ahead when it was made."
    ]
    visitor(DailySalt(file), NOON + days * DAY)
    DailySalt(file).expire(NOON)
    assert file.read_bytes().strip() == b""


def test_locked_salt_file_gives_no_id_without_waiting(file: Path) -> None:
    salt = DailySalt(file)
    file.parent.mkdir()
    with file.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert has_no_id(salt, NOON)
    assert visitor(salt, NOON)


def test_unusable_salt_file_gives_no_ids_and_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "file" / "salt", tmp_path / "link", tmp_path):
        caplog.clear()
        salt = DailySalt(path)
        with caplog.at_level(logging.WARNING):
            assert has_no_id(salt, NOON)
            assert has_no_id(salt, NOON)
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
            "Nothing is recorded without consent"
        ]
    assert not (tmp_path / "elsewhere").exists()


def test_expire_overwrites_salt_of_past_day(file: Path) -> None:
    salt = DailySalt(file, counting_salts())
    made = visitor(salt, NOON)
    salt.expire(NOON + 1)
    assert visitor(salt, NOON + 1) == made
    assert visitor(DailySalt(file), NOON) == made
    salt.expire(NOON + DAY)
    assert (1).to_bytes(32, "big").hex().encode() not in file.read_bytes()
    assert not any(bytes(value).strip(b"\0") for value in vars(salt).values() if isinstance(value, bytearray))
    assert visitor(salt, NOON + DAY)


def test_process_before_midnight_does_not_expire_salt_of_next_day(file: Path) -> None:
    first, late = DailySalt(file), DailySalt(file)
    next_day = visitor(first, MIDNIGHT)
    late.expire(MIDNIGHT - 299)
    assert visitor(DailySalt(file), MIDNIGHT) == next_day


def test_expire_creates_no_file(file: Path) -> None:
    for salt in (DailySalt(None), DailySalt(file)):
        salt.expire(NOON)
    assert not file.parent.exists()


def test_salt_appears_in_no_log_repr_or_id(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    salt = DailySalt(file, counting_salts())
    with caplog.at_level(logging.DEBUG):
        made = visitor(salt, NOON)
    secret = (1).to_bytes(32, "big")
    assert secret.hex() not in f"{salt!r}{made}{caplog.text}"
