{# The tables of a digest, or of a block, in the database `db`. Other files create those that are made by one query.

   - `about`: what it is made of, as JSON.
   - `names`: the texts of hosts and of names. 0 is all hosts.
   - `visitors`: a code for each visitor.
   - `people`: who has facts of a name. Of a digest: on which day. Of a block: the days as bits, and in `alone` whether the
     row counts for all hosts together.
   - `sums`: numbers by day.
   - `measured`: values for quantiles. Those of records are sorted in a block: see block_measured.sql.
   - `buckets`: of a block, how many values are in each bucket.
   - `stays`: the time of all activity of a guest without a pause. Of a digest: `near` if its records are in `edges`. Of a
     block: those whose sessions are in the other tables; `recent` if these are in `recent` and `recent_measured`, by
     themselves, because a record of the live file may go on with them; `is_open` if their records are in `edges`.
   - `edges`: of a digest, records of sessions that may go on in another file. Of a block, those that may go on in the live
     file, and in `is_long` those whose sessions are in no other table.
   - `sessions`, `pairs`: the sessions of a digest and their pairs of pages, as if there were no other file. `trail` has the
     items of each session in their order.
   - `items`: what views and events are, as goals tell them apart: see items.sql.
   - `trails`: of a block, what goals need of sessions. `guest` and `stay_began` are only those of recent ones. #}
{# DuckDB tries all ways to compress a column. For the large tables of a digest the best ones are known, which saves time. #}
{% macro packed(how) %}{{ "" if is_block else "USING COMPRESSION " ~ how }}{% endmacro %}
CREATE TABLE {{ db }}.about (made_of VARCHAR);
CREATE TABLE {{ db }}.names (code UINTEGER, text VARCHAR);
CREATE TABLE {{ db }}.visitors (code UINTEGER, number UBIGINT);
CREATE TABLE {{ db }}.people (
    kind UTINYINT {{ packed("rle") }}, host UINTEGER {{ packed("bitpacking") }}, name UINTEGER {{ packed("bitpacking") }},
    visitor UINTEGER {{ packed("bitpacking") }},
    {{ "alone BOOLEAN, days UBIGINT" if is_block else "day INTEGER " ~ packed("rle") }}
);
CREATE TABLE {{ db }}.sums (
    kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER
    {% for number in range(most_sums) %}
    , n{{ number }} BIGINT
    {% endfor %}
);
CREATE TABLE {{ db }}.measured (
    kind UTINYINT {{ packed("rle") }}, host UINTEGER {{ packed("bitpacking") }}, name UINTEGER {{ packed("bitpacking") }},
    day INTEGER {{ packed("rle") }}, value DOUBLE {{ packed("alp") }}, bucket USMALLINT {{ packed("bitpacking") }}
);
{% if is_block %}
CREATE TABLE {{ db }}.buckets (kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER, bucket USMALLINT, n BIGINT);
CREATE TABLE {{ db }}.recent_measured (
    kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER, value DOUBLE, bucket USMALLINT, guest UBIGINT, stay_began DOUBLE
);
CREATE TABLE {{ db }}.items (item UINTEGER, page VARCHAR, sent VARCHAR);
CREATE TABLE {{ db }}.trails (
    day INTEGER, host UINTEGER, visitor UINTEGER, began BIGINT, referrer UINTEGER, campaign UINTEGER, entry_path UINTEGER,
    trail UINTEGER[], guest UBIGINT, stay_began DOUBLE
);
{% endif %}
CREATE TABLE {{ db }}.stays (
    guest UBIGINT{{ "" if is_block else ", stay INTEGER" }}, began DOUBLE, ended DOUBLE{{ ", recent BOOLEAN, is_open BOOLEAN" if is_block else ", near BOOLEAN" }}
);
