"""One engine per kind of access log."""
