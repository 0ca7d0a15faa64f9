"""The shipped texts, one TOML file for each language, and the choice of the visitor's language.

Internal: what is public is in docs/reference/public-api.md.
"""
