"""The playground with its example, for a real server: uvicorn tests.support.sites.playground_site:app."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from cookie_consent.cli.playground.app import playground_app

_folder = TemporaryDirectory()
"""It goes with the process."""
app = playground_app(
    (files("cookie_consent.cli.playground") / "example.toml").read_text(encoding="utf-8"), Path(_folder.name)
)
