{# Facts of a `kind` that no block has: of records without a digest, and of sessions that go on from one file in another. #}
{% if kind.has_people %}
INSERT INTO extra_people
SELECT {{ number }}, code, visitor, day FROM grouped INNER JOIN all_names ON grouped.name = text GROUP BY ALL;
{% endif %}
INSERT INTO extra_sums
SELECT {{ number }}, code, day
    {% for n in range(most_sums) %}
    , {{ "sum(n" ~ n ~ ")" if n < kind.sums | length else "0" }}
    {% endfor %}
FROM grouped INNER JOIN all_names ON grouped.name = text
GROUP BY ALL;
{% if kind.value %}
INSERT INTO extra_measured
SELECT {{ number }}, code, {{ kind.value }}
FROM {{ kind.table }} INNER JOIN all_names ON {{ kind.name }} = text
WHERE {{ kind.value_where }}{{ "" if kind.of_stays else " AND inside = 1" }};
{% endif %}
