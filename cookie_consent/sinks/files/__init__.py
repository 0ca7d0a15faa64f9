"""Access records in JSON Lines files."""
