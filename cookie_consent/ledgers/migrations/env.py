"""Alembic's entry point. The caller passes a connection and owns its transaction."""

from alembic import context

from cookie_consent.ledgers.tables import METADATA

# The site may run Alembic in the same database, so ours needs another version table.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="consent_schema_version",
)
context.run_migrations()
