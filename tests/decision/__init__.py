"""Tests of decision/."""
