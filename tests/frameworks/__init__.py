"""Tests of the framework pages in docs/frameworks, and of the middleware in each framework."""
