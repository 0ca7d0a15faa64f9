{# Who has facts of a `kind` on which of the 64 days of the block `db`.

   The days are bits. People with facts on one host have one row, which also counts for all hosts together. Those with facts
   on several have one for each host, and one for all. #}
{% macro people() %}
{% if kind.of_stays %}
SELECT hosts.code AS host, names.code AS name, visitor, day
FROM facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
WHERE kind = {{ number }}
{% else %}
SELECT hosts.code AS host, names.code AS name, visitor, day
FROM all_people
INNER JOIN codes AS names ON all_people.file = names.file AND all_people.name = names.old
INNER JOIN codes AS hosts ON all_people.file = hosts.file AND all_people.host = hosts.old
WHERE kind = {{ number }} AND day BETWEEN {{ first }} AND {{ last }}
{% endif %}
{% endmacro %}
{% set days = "bit_or(1::UBIGINT << (day - " ~ first ~ ")::UBIGINT)" %}
INSERT INTO {{ db }}.people
SELECT {{ number }}, CASE WHEN min(host) = max(host) THEN min(host) ELSE 0 END, name, visitor, true, {{ days }}
FROM ({{ people() }})
GROUP BY name, visitor;
{% if hosts > 1 %}
INSERT INTO {{ db }}.people
SELECT {{ number }}, host, name, visitor, false, {{ days }}
FROM ({{ people() }}) AS people
WHERE EXISTS (
    SELECT 1 FROM {{ db }}.people AS whole
    WHERE whole.kind = {{ number }} AND whole.host = 0 AND whole.name = people.name AND whole.visitor = people.visitor
)
GROUP BY host, name, visitor;
{% endif %}
