"""The key of a log's digests: only who has it can tell by which number a visitor stands in them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cookie_consent.base.files import open_file, set_mode_and_owner, sync_folder
from cookie_consent.sinks.files.digest_files import digest_folder

_BYTES = 32


def read_key(path: Path) -> str | None:
    """Return the key of a log's digests; None if there is none, or this user may not read it.

    Args:
        path: the live file of the log.
    """
    try:
        text = (digest_folder(path) / "key").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return text if len(text) == 2 * _BYTES else None


def make_key(path: Path, like: os.stat_result) -> str:
    """Return the key of a log's digests; make one if there is none.

    Args:
        path: the live file of the log.
        like: the status of a file whose owner the key gets.

    Raises:
        OSError: the key cannot be written.
    """
    if key := read_key(path):
        return key
    place = digest_folder(path) / "key"
    new = place.with_name(f".key.{os.getpid()}.part")
    key = secrets.token_hex(_BYTES)
    descriptor = open_file(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, key.encode())
        set_mode_and_owner(descriptor, 0o600, like)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(new, place)
    sync_folder(place.parent)
    return key
