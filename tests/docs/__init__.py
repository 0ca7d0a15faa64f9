"""The documents, examples and the built package."""
