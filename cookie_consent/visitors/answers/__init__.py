"""Answers to the question: read, decided on, recorded and kept in cookies."""
