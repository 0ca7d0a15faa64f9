"""Reports of browsers about what a Content-Security-Policy forbids."""

PATH = "/csp-reports"
"""The path of the endpoint that takes them, below the prefix."""
