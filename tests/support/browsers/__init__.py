"""Browsers, and measurements in them."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = Path(__file__).with_name("chromium")
"""A script around the system's Chromium."""
