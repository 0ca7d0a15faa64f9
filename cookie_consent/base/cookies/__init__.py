"""Cookies on the wire, as RFC 6265bis and browsers treat them."""
