{# The facts of a `kind` by visitor and day. #}
{% from "channel.sql" import channel %}
{% set visitor = "visitor" if kind.has_people else "0::UBIGINT AS visitor" %}
CREATE OR REPLACE TEMPORARY TABLE grouped AS
{% if kind.of %}
WITH raw AS MATERIALIZED (
    SELECT host, {{ visitor }}, day, {{ kind.of | join(", ") }}
    {% for made in kind.sums.values() %}
    , ({{ made }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
    FROM {{ kind.table }} WHERE {{ kind.where }}{{ "" if kind.of_stays else " AND inside = 1" }}
    GROUP BY ALL
),
combinations AS MATERIALIZED (
    SELECT DISTINCT {{ kind.of | join(", ") }} FROM raw
)
SELECT host, name, visitor, day
    {% for _ in kind.sums %}
    , sum(n{{ loop.index0 }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
FROM raw
INNER JOIN (
    SELECT {{ kind.of | join(", ") }}, {{ channel("referrer", "campaign") if kind.name == "channel" else kind.name }} AS name FROM combinations
) AS labels USING ({{ kind.of | join(", ") }})
GROUP BY ALL
{% else %}
SELECT host, {{ kind.name }} AS name, {{ visitor }}, day
    {% for made in kind.sums.values() %}
    , ({{ made }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
FROM {{ kind.table }} WHERE {{ kind.where }}{{ "" if kind.of_stays else " AND inside = 1" }}
GROUP BY ALL
{% endif %}
