"""Browsers' reports about what a Content-Security-Policy forbids: read, counted, and logged."""

PATH = "/csp-reports"
"""The path of the endpoint that takes them, below the prefix."""
