"""Tests of the audit of a site."""
