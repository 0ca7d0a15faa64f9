"""What is kept of what clients send stays bounded."""

from __future__ import annotations

from typing import Any


def make_room(kept: dict[Any, Any] | set[Any], most: int) -> None:
    """Empty what is kept if it is full. What is needed comes again soon, and nothing has to be kept in order."""
    if len(kept) >= most:
        kept.clear()
