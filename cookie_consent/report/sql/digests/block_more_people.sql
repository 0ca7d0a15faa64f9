{# Add who has facts in later files to the people of the block `db`: see block_people.sql.

   Rows that are there get the new days. Those of a visitor who comes to a second host begin to count for all hosts, and others
   are added for each host. #}
CREATE TEMPORARY TABLE fresh AS
SELECT kind, host, name, visitor, bit_or(1::UBIGINT << (day - {{ first }})::UBIGINT) AS days FROM all_people GROUP BY ALL;
CREATE TEMPORARY TABLE known AS
SELECT rowid AS line, people.* FROM {{ db }}.people AS people
SEMI JOIN fresh USING (kind, name, visitor);
CREATE TEMPORARY TABLE merged AS
SELECT kind, CASE WHEN min(host) = max(host) THEN min(host) ELSE 0 END AS host, name, visitor, true AS alone, bit_or(days) AS days
FROM (
    SELECT kind, host, name, visitor, days FROM known WHERE alone
    UNION ALL
    SELECT kind, host, name, visitor, days FROM fresh
)
GROUP BY kind, name, visitor;
INSERT INTO merged
SELECT kind, host, name, visitor, false, bit_or(days)
FROM (
    SELECT kind, host, name, visitor, days FROM known WHERE host <> 0
    UNION ALL
    SELECT kind, host, name, visitor, days FROM fresh
)
SEMI JOIN (SELECT kind, name, visitor FROM merged WHERE host = 0) AS several USING (kind, name, visitor)
GROUP BY kind, host, name, visitor;
CREATE TEMPORARY TABLE changed AS
SELECT line, known.host AS old_host, merged.*
FROM merged
LEFT JOIN known ON known.kind = merged.kind AND known.name = merged.name AND known.visitor = merged.visitor
    AND known.alone = merged.alone AND (merged.alone OR known.host = merged.host);
UPDATE {{ db }}.people AS people SET days = changed.days FROM changed WHERE people.rowid = line;
UPDATE {{ db }}.people AS people SET host = changed.host FROM changed WHERE people.rowid = line AND old_host <> changed.host;
INSERT INTO {{ db }}.people
SELECT kind, host, name, visitor, alone, days FROM changed WHERE line IS NULL
ORDER BY kind, name, visitor;
{% for table in ("fresh", "known", "merged", "changed") %}
DROP TABLE {{ table }};
{% endfor %}
