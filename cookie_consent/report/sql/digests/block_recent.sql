{# `facts` and the values of `kinds` of recent sessions into the block `db`, by stay.

   `all_days` and `host_days` are the days on which `people` has the visitor with this name, on all hosts and on this one. #}
{% from "digests/bucket.sql" import bucket %}
CREATE TABLE {{ db }}.recent AS
SELECT facts.* REPLACE (hosts.code AS host, names.code AS name, visitors.code AS visitor),
    coalesce(everywhere.days, 0::UBIGINT) AS all_days, coalesce(here.days, 0::UBIGINT) AS host_days
FROM facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
LEFT JOIN {{ db }}.visitors AS visitors ON facts.visitor = visitors.number
LEFT JOIN {{ db }}.people AS everywhere
    ON everywhere.kind = facts.kind AND everywhere.name = names.code AND everywhere.visitor = visitors.code AND everywhere.alone
LEFT JOIN {{ db }}.people AS here
    ON here.kind = facts.kind AND here.name = names.code AND here.visitor = visitors.code AND here.host = hosts.code;
CREATE TABLE {{ db }}.recent_measured (
    kind UTINYINT, host UINTEGER, name UINTEGER, day INTEGER, value DOUBLE, bucket USMALLINT, guest UBIGINT, stay_began DOUBLE
);
{% for kind in kinds if kind.value %}
INSERT INTO {{ db }}.recent_measured
SELECT {{ kind.number }}, hosts.code, names.code, day, value, {{ bucket("value") }}, guest, stay_began
FROM (
    SELECT {{ kind.name }} AS name, host, day, {{ kind.value }} AS value, guest, stay_began
    FROM {{ kind.table }} WHERE {{ kind.value_where }}
) AS facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
WHERE value IS NOT NULL;
{% endfor %}
