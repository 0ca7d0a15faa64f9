"""Helpers for HTTP, HTML, files and processes that know nothing of consent.

Internal: what is public is in docs/reference/public-api.md.
"""
