"""Decides which purposes are allowed, from signals, cookies and the consent record; the gate enforces it on cookies.

Internal: what is public is in docs/reference/public-api.md.
"""
