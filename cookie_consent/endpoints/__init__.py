"""The pages and endpoints under the prefix, for visitors.

Internal: what is public is in docs/reference/public-api.md.
"""
