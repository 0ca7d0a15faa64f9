"""Makes the digests of an access log anew when records were removed from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cookie_consent.sinks.files.digest_files import digest_folder


@contextmanager
def digests_renewed(target: str | None) -> Iterator[None]:
    """Make the digests of an access log anew after a block that removes records, if it has digests.

    Args:
        target: the path or URL of the access log.
    """
    path = Path((target or "").removeprefix("file://"))
    if target is None or not digest_folder(path).is_dir():
        yield
        return
    # Only now: this takes its time to import.
    from cookie_consent.cli.digest import digested
    from cookie_consent.report.digests.making import zone_of

    zone = zone_of(path)
    yield
    if zone:
        digested(path, zone)
