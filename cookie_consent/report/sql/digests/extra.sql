{# `facts` that no block has: of records without a digest, and of sessions that go on from one file in another. #}
{% from "digests/bucket.sql" import bucket %}
INSERT INTO new_visitors
SELECT (SELECT coalesce(max(code), 0) FROM all_visitors) + row_number() OVER (), visitor
FROM all_visitors
RIGHT JOIN (SELECT DISTINCT visitor FROM facts) AS fresh ON number = visitor
WHERE number IS NULL;
CREATE OR REPLACE TEMPORARY TABLE extra_codes AS
SELECT code, text FROM all_names WHERE text IN (
    SELECT name FROM facts
    {% for kind in kinds if kind.value and kind.value_where != kind.where %}
    UNION ALL
    SELECT {{ kind.name }} FROM {{ kind.table }} WHERE {{ kind.value_where }}
    {% endfor %}
);
INSERT INTO extra_people
SELECT DISTINCT kind, names.code, visitors.code, day
FROM facts
INNER JOIN (FROM all_visitors WHERE number IN (SELECT visitor FROM facts)) AS visitors ON number = visitor
INNER JOIN extra_codes AS names ON text = name
WHERE kind IN ({% for kind in kinds if kind.has_people %}{{ kind.number }}, {% endfor %}255);
INSERT INTO extra_sums
SELECT kind, code, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM facts INNER JOIN extra_codes ON text = name
GROUP BY ALL;
{% for kind in kinds if kind.value %}
INSERT INTO extra_measured
SELECT {{ kind.number }}, code, value, {{ bucket("value") }}
FROM (
    SELECT {{ kind.name }} AS name, {{ kind.value }} AS value
    FROM {{ kind.table }} WHERE {{ kind.value_where }}{{ "" if kind.of_stays else " AND inside = 1" }}
) AS facts INNER JOIN extra_codes ON text = name
WHERE value IS NOT NULL;
{% endfor %}
