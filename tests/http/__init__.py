"""Tests of enforcement/."""
