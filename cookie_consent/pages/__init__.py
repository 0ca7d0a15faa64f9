"""The HTML pages and boxes that visitors read.

Internal: what is public is in docs/reference/public-api.md.
"""
