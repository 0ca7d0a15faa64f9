"""Alembic migrations of a ledger's tables."""
