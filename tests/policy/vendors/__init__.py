"""Tests of `cookie_consent.policy.vendors`."""
