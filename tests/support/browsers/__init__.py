"""Browsers, and what is measured in them."""
