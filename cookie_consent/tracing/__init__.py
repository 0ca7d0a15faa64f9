"""Access records and counts: which ones are made, and when they are erased."""
