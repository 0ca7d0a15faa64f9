"""Content-Security-Policies: which third parties a browser may reach, and what our tags may do."""
