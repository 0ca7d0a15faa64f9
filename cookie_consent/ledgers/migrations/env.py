"""Where Alembic begins: it is given a connection, in whose transaction the migrations run."""

from alembic import context

from cookie_consent.ledgers.tables import METADATA

# A name of its own: the database may be a site's, which may have migrations of its own.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="consent_schema_version",
)
context.run_migrations()
