"""Tests of docs/frameworks.md, and of the middleware in each framework."""
