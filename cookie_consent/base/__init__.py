"""Helpers for HTTP, HTML, files and processes that know nothing of consent."""
