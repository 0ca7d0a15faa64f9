"""What an ASGI app is, in any framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]
"""An ASGI app. Each framework has types of its own for scope, receive and send, so these are not named."""
