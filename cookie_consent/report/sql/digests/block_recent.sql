{# `facts` and the values of `kinds` of recent sessions into the block `db`, by stay.

   `all_days` and `host_days` are the days on which `people` has the visitor with this name, on all hosts and on this one. #}
{% from "digests/bucket.sql" import bucket %}
CREATE TEMPORARY TABLE coded AS
SELECT facts.* REPLACE (hosts.code AS host, names.code AS name, visitors.code AS visitor)
FROM facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
LEFT JOIN {{ db }}.visitors AS visitors ON facts.visitor = visitors.number
{% if extends %}
UNION ALL BY NAME
FROM kept_recent
{% endif %};
CREATE TEMPORARY TABLE recent_people AS
SELECT kind, host, name, visitor, alone, days FROM {{ db }}.people AS people SEMI JOIN coded USING (kind, name, visitor);
CREATE TABLE {{ db }}.recent AS
SELECT coded.*, coalesce(everywhere.days, 0::UBIGINT) AS all_days, coalesce(here.days, 0::UBIGINT) AS host_days
FROM coded
LEFT JOIN recent_people AS everywhere
    ON everywhere.kind = coded.kind AND everywhere.name = coded.name AND everywhere.visitor = coded.visitor AND everywhere.alone
LEFT JOIN recent_people AS here
    ON here.kind = coded.kind AND here.name = coded.name AND here.visitor = coded.visitor AND here.host = coded.host;
DROP TABLE coded;
DROP TABLE recent_people;
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
