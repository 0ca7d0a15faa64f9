"""Create the records, the policies and texts they cite, and the triggers that keep them append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = branch_labels = depends_on = None

_EMPTIED = (
    *("document", "record_id", "consent_id", "policy", "text", "prevailing_text", "decided_at", "keep_until"),
    "repeat_key",
)
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_CHANGED_ONLY_BY_REMOVAL = " AND ".join(
    [
        *(f"NEW.{name} IS NULL" for name in _EMPTIED),
        *(f"NEW.{name} = OLD.{name}" for name in ("number", "record_hash", "chain_hash")),
    ]
)
_REFUSED = "consent records are append-only"
_REFUSED_IN_SQLITE = (
    f"consent_records_stay BEFORE UPDATE ON consent_records WHEN NOT coalesce({_CHANGED_ONLY_BY_REMOVAL}, 0)",
    "consent_policies_stay BEFORE UPDATE ON consent_policies",
    "consent_texts_stay BEFORE UPDATE ON consent_texts",
    "consent_records_remain BEFORE DELETE ON consent_records",
    # SQLite checks foreign keys only if a connection asks for it, and other programs may not.
    "consent_policies_remain BEFORE DELETE ON consent_policies "
    "WHEN EXISTS (SELECT 1 FROM consent_records WHERE policy = OLD.version)",
    "consent_texts_remain BEFORE DELETE ON consent_texts "
    "WHEN EXISTS (SELECT 1 FROM consent_records WHERE text = OLD.sha256 OR prevailing_text = OLD.sha256)",
    # INSERT OR REPLACE deletes rows without firing the triggers above.
    "consent_records_are_new BEFORE INSERT ON consent_records "
    "WHEN EXISTS (SELECT 1 FROM consent_records WHERE number = NEW.number)",
    "consent_policies_are_new BEFORE INSERT ON consent_policies "
    "WHEN EXISTS (SELECT 1 FROM consent_policies WHERE version = NEW.version AND document <> NEW.document)",
    "consent_texts_are_new BEFORE INSERT ON consent_texts "
    "WHEN EXISTS (SELECT 1 FROM consent_texts WHERE sha256 = NEW.sha256 AND content <> NEW.content)",
)


def upgrade() -> None:
    """Create the tables and triggers."""
    op.create_table(
        "consent_policies",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "consent_texts",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "consent_records",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text),
        sa.Column("record_id", sa.Text),
        sa.Column("consent_id", sa.Text),
        sa.Column("policy", sa.Text, sa.ForeignKey("consent_policies.version")),
        sa.Column("text", sa.Text, sa.ForeignKey("consent_texts.sha256")),
        sa.Column("prevailing_text", sa.Text, sa.ForeignKey("consent_texts.sha256")),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("keep_until", sa.BigInteger),
        sa.Column("repeat_key", sa.Text),
        sa.Column("record_hash", sa.LargeBinary, nullable=False),
        sa.Column("chain_hash", sa.LargeBinary, nullable=False),
    )
    for index, *columns in (
        ("of", "consent_id", "number"),
        ("repeated", "repeat_key", "number"),
        ("due", "keep_until"),
        ("citing_policy", "policy"),
        ("citing_text", "text"),
        ("citing_prevailing_text", "prevailing_text"),
    ):
        op.create_index(f"consent_records_{index}", "consent_records", columns)
    op.create_table(
        "consent_removals",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("ran_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("texts", sa.Integer, nullable=False),
        sa.Column("policies", sa.Integer, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _protect_in_sqlite()
    else:
        _protect_in_postgresql()
        op.execute(_APPEND)


def _protect_in_sqlite() -> None:
    for trigger in _REFUSED_IN_SQLITE:
        op.execute(f"CREATE TRIGGER {trigger} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END")


def _protect_in_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION consent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF coalesce(current_setting('cookie_consent.removing', true), '') = 'on' THEN
                IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'consent_records' THEN
                    RETURN OLD;
                END IF;
                IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'consent_records' THEN
                    IF {_CHANGED_ONLY_BY_REMOVAL} THEN
                        RETURN NEW;
                    END IF;
                END IF;
            END IF;
            RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in ("consent_records", "consent_policies", "consent_texts"):
        op.execute(
            f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION consent_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_remain BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION consent_refuse()"
        )


# Appends a batch with one statement, so that the lock is not held during a round trip. Each query of a volatile
# function sees what was committed before that query began, so the end of the chain is read after the lock is taken.
_APPEND = """
CREATE FUNCTION consent_append(
    documents text[], record_ids text[], consent_ids text[], policies text[], texts text[], prevailing_texts text[],
    decided_ats bigint[], keep_untils bigint[], repeat_keys text[], repeated_sinces bigint[]
) RETURNS TABLE (place integer, kept text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_number bigint;
    last_hash bytea;
    own bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(7077283940);
    SELECT r.number, r.chain_hash INTO last_number, last_hash FROM consent_records r ORDER BY r.number DESC LIMIT 1;
    IF NOT FOUND THEN
        last_number := 0;
        last_hash := decode(repeat('00', 32), 'hex');
    END IF;
    FOR i IN 1 .. cardinality(documents) LOOP
        place := i;
        kept := NULL;
        IF repeat_keys[i] IS NOT NULL THEN
            SELECT r.document INTO kept FROM consent_records r
                WHERE r.repeat_key = repeat_keys[i] AND r.decided_at >= repeated_sinces[i] ORDER BY r.number LIMIT 1;
        END IF;
        IF kept IS NULL THEN
            kept := documents[i];
            own := sha256(convert_to(kept, 'UTF8'));
            last_number := last_number + 1;
            last_hash := sha256(last_hash || own);
            INSERT INTO consent_records VALUES (
                last_number, kept, record_ids[i], consent_ids[i], policies[i], texts[i], prevailing_texts[i],
                decided_ats[i], keep_untils[i], repeat_keys[i], own, last_hash
            );
        END IF;
        RETURN NEXT;
    END LOOP;
END $$
"""
