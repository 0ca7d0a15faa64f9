"""Tests of ledgers/."""
