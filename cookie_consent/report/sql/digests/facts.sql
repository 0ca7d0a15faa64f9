{# The facts of a `kind` into a digest or block `db`, from `grouped`; people of a block are in block_people.sql. #}
{% if kind.has_people and not is_block %}
INSERT INTO {{ db }}.people
SELECT {{ number }}, hosts.code, names.code, visitor, day
FROM grouped
INNER JOIN {{ db }}.names AS names ON grouped.name = names.text
INNER JOIN {{ db }}.names AS hosts ON grouped.host = hosts.text;
{% endif %}
INSERT INTO {{ db }}.sums
SELECT {{ number }}, hosts.code, names.code, day
    {% for n in range(most_sums) %}
    , {{ "sum(n" ~ n ~ ")" if n < kind.sums | length else "0" }}
    {% endfor %}
FROM grouped
INNER JOIN {{ db }}.names AS names ON grouped.name = names.text
INNER JOIN {{ db }}.names AS hosts ON grouped.host = hosts.text
GROUP BY ALL;
{% if kind.value %}
INSERT INTO {{ db }}.measured
SELECT {{ number }}, hosts.code, names.code, day, {{ kind.value }}
FROM {{ kind.table }} AS facts
INNER JOIN {{ db }}.names AS names ON {{ kind.name }} = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
WHERE {{ kind.value_where }}{{ "" if kind.of_stays else " AND inside = 1" }};
{% endif %}
