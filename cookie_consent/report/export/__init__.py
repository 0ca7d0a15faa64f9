"""Figures and records as files for other programs."""
