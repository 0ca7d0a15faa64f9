{# Who has facts of a `kind` on which of the 64 days of the block `db`.

   The days are bits. People with facts on one host have one row, which also counts for all hosts together. Those with facts
   on several have one for each host, and one for all. Rows are sorted, so that a report reads them fast. #}
{% set days = "bit_or(1::UBIGINT << (day - " ~ first ~ ")::UBIGINT)" %}
{% if not by_host %}
INSERT INTO {{ db }}.people
SELECT {{ number }}, CASE WHEN min(host) = max(host) THEN min(host) ELSE 0 END, name, visitor, true, {{ days }}
FROM all_people WHERE kind = {{ number }}
GROUP BY name, visitor
ORDER BY name, visitor
{% else %}
INSERT INTO {{ db }}.people
SELECT {{ number }}, host, name, visitor, false, {{ days }}
FROM all_people
SEMI JOIN (SELECT name, visitor FROM {{ db }}.people WHERE kind = {{ number }} AND host = 0) AS several USING (name, visitor)
WHERE kind = {{ number }}
GROUP BY host, name, visitor
ORDER BY name, visitor
{% endif %}
