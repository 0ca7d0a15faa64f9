"""Applies the decision to the app's responses: cookies, headers, banner and features.

Internal: what is public is in docs/reference/public-api.md.
"""
