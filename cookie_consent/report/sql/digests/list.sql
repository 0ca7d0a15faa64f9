{# A list of a `kind`, as grouped.sql gives it. Names of few people need no text: they are all in "(other)". #}
{% set present = "merged_people" if kind.few_are else "present" %}
{% set columns = kind.sums | list %}
{% set heads, totals = "heads_" ~ kind.number, "totals_" ~ kind.number %}
{% set by_quantile = kind.sorted_by in kind.quantiles %}
WITH {% if by_quantile %}
found AS (
    SELECT label AS name, value AS size FROM found_quantiles WHERE share = {{ kind.quantiles[kind.sorted_by] }}
),
{% endif %}
shown AS MATERIALIZED (
    SELECT totals.*, {{ kind.label }} AS text, people
    FROM all_names
    INNER JOIN (FROM {{ heads }} WHERE people >= {{ number("threshold") }}) AS heads ON all_names.code = heads.name
    INNER JOIN {{ totals }} AS totals ON totals.name = heads.name
    {% if by_quantile %}
    INNER JOIN found ON found.name = heads.name
    {% endif %}
    QUALIFY row_number() OVER (ORDER BY {{ kind.size }} DESC, {{ kind.label }}) <= {{ number("most") }}
),
rows AS (
    SELECT name, text AS label, 0 AS joined, people AS visitors, NULL::BIGINT AS people_joined
    {% for column in columns %}
    , n{{ loop.index0 }} AS {{ column }}
    {% endfor %}
    FROM shown
    UNION ALL
    SELECT NULL, '(other)', 1, max(visitors), max(visitors)
    {% for _ in columns %}
    , sum(n{{ loop.index0 }})
    {% endfor %}
    FROM {{ totals }}, (
        SELECT count(DISTINCT visitor) AS visitors
        FROM {{ present }} WHERE kind = {{ kind.number }} AND name NOT IN (SELECT name FROM shown)
    )
    WHERE name NOT IN (SELECT name FROM shown)
    HAVING count(*) > 0
)
SELECT rows.*, (SELECT count(*) FROM {{ heads }} WHERE people < {{ number("threshold") }}) AS small_groups
FROM rows
