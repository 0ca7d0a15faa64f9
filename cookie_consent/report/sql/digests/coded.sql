{# The sums of `facts`, and the values of `kinds`, into the block `db`. People are in block_people.sql. #}
{% from "digests/bucket.sql" import bucket %}
INSERT INTO {{ db }}.sums
SELECT kind, hosts.code, names.code, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
GROUP BY ALL;
{% for kind in kinds if kind.value %}
INSERT INTO {{ db }}.measured
SELECT {{ kind.number }}, hosts.code, names.code, day, value, {{ bucket("value") }}
FROM (
    SELECT {{ kind.name }} AS name, host, day, {{ kind.value }} AS value
    FROM {{ kind.table }} WHERE {{ kind.value_where }}{{ "" if kind.of_stays else " AND inside = 1" }}
) AS facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
WHERE value IS NOT NULL;
{% endfor %}
