"""Access records and counts: which ones are made, and when they are erased.

Internal: what is public is in docs/reference/public-api.md.
"""
