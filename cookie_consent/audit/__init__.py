"""Visits a site as its visitors do, and compares what it stores and loads with its policy.

Internal: `cookie_consent.testing` and the command `audit` are public.
"""
