"""Answers that were given elsewhere: to another consent tool, or on another device with the same account."""
