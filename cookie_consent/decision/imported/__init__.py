"""Reads the answers that visitors gave to other consent tools, and makes consent records of them."""
