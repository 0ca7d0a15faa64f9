"""Fixtures for the tests of frameworks."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The frameworks run on asyncio."""
    return "asyncio"
