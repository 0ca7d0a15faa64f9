"""Tests of visitors/."""
