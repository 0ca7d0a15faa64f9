"""Digests: what a report needs of closed files, computed once."""
