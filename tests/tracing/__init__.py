"""Tests of tracing/."""
