"""Cookies as browsers and RFC 6265bis have them."""
