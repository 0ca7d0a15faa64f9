"""Tables of digests in PostgreSQL, and which digests still count.

The digest of a day counts while the records that it was made of are as they were. A trigger notes the hours of all
records that are inserted or deleted, with the number of the transaction. Each digest has the snapshot from which it was
made: it is void as soon as there is a note that the snapshot did not see. So no lock is needed, and no order of commits
can hide a change. Dropping or restoring a partition fires no trigger, but the partition is then another, or gone.
"""

from __future__ import annotations

from psycopg import sql

MOST_SUMS = 5
"""How many sums a fact may have, as in `report.digests.kinds`."""

TABLES_EXIST = sql.SQL("SELECT to_regclass('access_digest_valid') IS NOT NULL")
CAN_READ = sql.SQL("""
    SELECT coalesce(bool_and(has_table_privilege(found, 'SELECT')), false)
    FROM unnest(ARRAY[
        to_regclass('access_digest_valid'), to_regclass('access_digest_facts'), to_regclass('access_digest_key')
    ]) AS found
""")
CREATE_TABLES = sql.SQL("""
    CREATE TABLE IF NOT EXISTS access_digest_key (key text NOT NULL);
    CREATE TABLE IF NOT EXISTS access_digest_days (
        day integer PRIMARY KEY, zone text NOT NULL, schema text NOT NULL, made_of text NOT NULL,
        seen txid_snapshot NOT NULL, read_since timestamptz NOT NULL, read_end timestamptz NOT NULL
    );
    CREATE TABLE IF NOT EXISTS access_digest_facts (
        day integer NOT NULL, kind smallint NOT NULL, host text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
        visitors bigint[], measured double precision[], {}
    );
    CREATE INDEX IF NOT EXISTS access_digest_facts_of_day ON access_digest_facts (day, kind);
    CREATE TABLE IF NOT EXISTS access_digest_changes (hour timestamptz NOT NULL, transaction bigint NOT NULL);
    CREATE OR REPLACE FUNCTION access_digest_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
        INSERT INTO access_digest_changes
        SELECT DISTINCT date_trunc('hour', time, 'UTC'), txid_current() FROM changed;
        RETURN NULL;
    END $$;
    DROP TRIGGER IF EXISTS access_digest_inserted ON access_records;
    DROP TRIGGER IF EXISTS access_digest_deleted ON access_records;
    CREATE TRIGGER access_digest_inserted AFTER INSERT ON access_records
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION access_digest_note();
    CREATE TRIGGER access_digest_deleted AFTER DELETE ON access_records
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION access_digest_note();
    CREATE OR REPLACE FUNCTION access_digest_partitions(since timestamptz, until timestamptz) RETURNS text
    LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
        SELECT concat_ws(
            ' ', (SELECT system_identifier FROM pg_control_system()),
            (SELECT oid FROM pg_database WHERE datname = current_database()),
            (
                SELECT string_agg(oid::text, ' ' ORDER BY oid) FROM pg_inherits JOIN pg_class ON oid = inhrelid
                WHERE inhparent = 'access_records'::regclass AND (
                    relname !~ '_\\d{{8}}$' OR right(relname, 8) BETWEEN
                    to_char(since AT TIME ZONE 'UTC', 'YYYYMMDD') AND to_char(until AT TIME ZONE 'UTC', 'YYYYMMDD')
                )
            )
        )
    $$;
    CREATE OR REPLACE VIEW access_digest_valid AS
    SELECT day, zone, schema FROM access_digest_days AS days
    WHERE made_of = access_digest_partitions(read_since, read_end) AND NOT EXISTS (
        SELECT FROM access_digest_changes
        WHERE hour > read_since - interval '1 hour' AND hour < read_end
            AND NOT txid_visible_in_snapshot(transaction, days.seen)
    );
    CREATE OR REPLACE FUNCTION access_digest_delete_void() RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
        DELETE FROM access_digest_facts WHERE day NOT IN (SELECT day FROM access_digest_valid);
        DELETE FROM access_digest_days WHERE day NOT IN (SELECT day FROM access_digest_valid);
    $$;
    INSERT INTO access_digest_key SELECT {} WHERE NOT EXISTS (SELECT FROM access_digest_key);
""")
"""The variables: the columns of sums, and a new key, which is kept if there is none."""
DELETE_VOID = sql.SQL("SELECT access_digest_delete_void()")
"""Delete what digests that no longer count say about anybody. It runs with the rights of its owner, so that all who may
erase records can do this, too."""
DELETE_OTHERS = sql.SQL("""
    WITH others AS (DELETE FROM access_digest_days WHERE zone <> %s OR schema <> %s RETURNING day)
    DELETE FROM access_digest_facts WHERE day IN (SELECT day FROM others)
""")
VALID_DAYS = sql.SQL("SELECT day FROM access_digest_valid WHERE zone = %s AND schema = %s ORDER BY day")
KEY = sql.SQL("SELECT key FROM access_digest_key")
LOCK = sql.SQL("SELECT pg_try_advisory_xact_lock(7077283942)")
"""Taken to make digests: one process at a time."""
ADD_DAY = sql.SQL("""
    INSERT INTO access_digest_days
    SELECT %(day)s, %(zone)s, %(schema)s, access_digest_partitions(since, until), txid_current_snapshot(), since, until
    FROM (SELECT to_timestamp(%(read_since)s / 1000.0) AS since, to_timestamp(%(read_end)s / 1000.0) AS until) AS read
""")
FORGET_CHANGES = sql.SQL("""
    DELETE FROM access_digest_changes AS changes WHERE NOT EXISTS (
        SELECT FROM access_digest_days AS days
        WHERE hour > read_since - interval '1 hour' AND hour < read_end
            AND NOT txid_visible_in_snapshot(transaction, days.seen)
    ) AND txid_visible_in_snapshot(transaction, txid_current_snapshot())
""")
"""Delete the notes that all digests have seen, and all later ones will see."""
NEXT_RECORD = sql.SQL("""
    SELECT floor(extract(epoch FROM min(time)) * 1000)::bigint FROM access_records
    WHERE time >= to_timestamp(%s / 1000.0) AND time < to_timestamp(%s / 1000.0)
""")


def create_tables(key: str) -> sql.Composed:
    """Return the statements that create the tables of digests.

    Args:
        key: a new key, which is kept if there is none.
    """
    numbers = sql.SQL(", ").join(
        sql.Identifier(f"n{number}") + sql.SQL(" bigint NOT NULL DEFAULT 0") for number in range(MOST_SUMS)
    )
    return CREATE_TABLES.format(numbers, sql.Literal(key))
