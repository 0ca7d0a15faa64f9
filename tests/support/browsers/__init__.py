"""Browsers, and measurements in them."""
