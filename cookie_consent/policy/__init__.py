"""The policy: a site's purposes, cookies, recipients, features and services, checked and versioned.

Internal: what is public is in docs/reference/public-api.md.
"""
