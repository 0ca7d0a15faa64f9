{% from "digests/bucket.sql" import bucket %}
{# `facts` that no block has: of records without a digest, and of sessions that go on from one file in another. #}
INSERT INTO extra_people
SELECT kind, code, visitor, day FROM all_names INNER JOIN facts ON text = facts.name
WHERE kind IN ({% for kind in kinds if kind.has_people %}{{ kind.number }}, {% endfor %}255)
GROUP BY ALL;
INSERT INTO extra_sums
SELECT kind, code, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM all_names INNER JOIN facts ON text = facts.name
GROUP BY ALL;
{% for kind in kinds if kind.value %}
INSERT INTO extra_measured
SELECT {{ kind.number }}, code, value, {{ bucket("value") }}
FROM all_names INNER JOIN (
    SELECT {{ kind.name }} AS name, {{ kind.value }} AS value
    FROM {{ kind.table }} WHERE {{ kind.value_where }}{{ "" if kind.of_stays else " AND inside = 1" }}
) AS facts ON text = name
WHERE value IS NOT NULL;
{% endfor %}
