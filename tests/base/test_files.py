"""Tests of operations on files, also where the system lacks those of POSIX."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cookie_consent.base import files


def test_place_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("kept")
    for path in (file, tmp_path / "new.jsonl", tmp_path / "new" / "folder" / "log.jsonl"):
        files.check_writable("access_log", path)
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("kept", ["log.jsonl"])
    for path in (tmp_path, file / "log.jsonl"):
        with pytest.raises(ValueError, match=rf"access_log: {path} cannot be written: .*Name another place"):
            files.check_writable("access_log", path)


@pytest.mark.parametrize("is_posix", [True, False], ids=["posix", "elsewhere"])
def test_bytes_are_read_and_written_at_a_place(is_posix: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    if not is_posix:
        for name in ("pread", "pwrite", "fchown", "O_DIRECTORY"):
            monkeypatch.delattr(os, name)
    try:
        assert os.write(file, b"0123456789") == 10
        os.lseek(file, 3, os.SEEK_SET)
        assert files.read_at(file, 2, 7) == b"78"
        assert files.write_at(file, b"ab", 5) == 2
        assert os.read(file, 9) == b"34ab789"
        files.set_mode_and_owner(file, 0o640, os.fstat(file))
        assert os.fstat(file).st_mode & 0o777 == (0o640 if is_posix else 0o600)
    finally:
        os.close(file)
    files.sync_folder(tmp_path)
    assert not os.get_inheritable(os.open(tmp_path / "file", os.O_RDONLY))
