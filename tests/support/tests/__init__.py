"""Tests of the helpers of the tests."""
