{# The tables of a digest, or of a block, in the database `db`.

   - `about`: what it is made of, as JSON.
   - `names`: the texts of hosts and of names. 0 is all hosts.
   - `people`: who has facts of a name. Of a digest: on which day. Of a block: the days as bits, and in `alone` whether the
     row counts for all hosts together.
   - `sums`: numbers by day.
   - `measured`: values for quantiles; of a block, sorted by kind and bucket, so that few are read.
   - `buckets`: of a block, how many values are in each bucket.
   - `stays`: the time of all activity of a guest without a pause. Of a digest: `near` if its records are in `edges`. Of a
     block: only those whose sessions are in the other tables; `recent` if these are in `recent_sessions` and
     `recent_pairs`, by themselves, because a record of the live file may go on with them.
   - `edges`: records of sessions that are not in the other tables, as sessions.sql takes them.
   - `sessions`: the sessions of a digest, as if there were no other file. #}
CREATE TABLE {{ db }}.about (made_of VARCHAR);
CREATE TABLE {{ db }}.names (code UINTEGER, text VARCHAR);
CREATE TABLE {{ db }}.people (
    kind UTINYINT, host UINTEGER, name UINTEGER, visitor UBIGINT,
    {{ "alone BOOLEAN, days UBIGINT" if is_block else "day INTEGER" }}
);
CREATE TABLE {{ db }}.sums (
    kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER
    {% for number in range(most_sums) %}
    , n{{ number }} BIGINT
    {% endfor %}
);
CREATE TABLE {{ db }}.measured (kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER, value DOUBLE, bucket USMALLINT);
{% if is_block %}
CREATE TABLE {{ db }}.buckets (kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER, bucket USMALLINT, n BIGINT);
{% endif %}
CREATE TABLE {{ db }}.stays (
    guest UBIGINT{{ "" if is_block else ", stay INTEGER" }}, began DOUBLE, ended DOUBLE{{ ", recent BOOLEAN" if is_block else ", near BOOLEAN" }}
);
