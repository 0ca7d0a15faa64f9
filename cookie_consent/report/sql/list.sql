{# A list of groups: a row of `figures.py`, named `figure`. Groups with fewer people than the threshold, and those after the
   requested number of rows, are joined into the row "(other)". Its numbers and quantiles are exact, because they are
   computed from the facts. `people` is the number of people in a row. #}
{% from "measures.sql" import counted, label, measures, names_of_measures, tables with context %}
WITH facts AS {{ facts() if figure.table in tables }} (
    SELECT counted.*, {{ label(figure) }} AS name_of_group FROM {{ counted(figure) }}
),
sizes AS (
    SELECT name_of_group AS label, {{ measures(figure) }}, {{ figure.people }} AS people
    FROM facts
    GROUP BY name_of_group
    HAVING {{ figure.people }} > 0
),
marked AS (
    SELECT *, CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small FROM sizes
),
placed AS (
    SELECT *,
        row_number() OVER (ORDER BY small, row_{{ figure.measures[0].key }} DESC, label) AS place,
        sum(small) OVER () AS small_groups
    FROM marked
)
{% set is_shown %}small = 0 AND place <= {{ number("most") }}{% endset %}
SELECT label, 0 AS joined, {{ names_of_measures(figure) }}, people, small_groups FROM placed WHERE {{ is_shown }}
UNION ALL
SELECT '(other)', 1, {{ measures(figure) }}, {{ figure.people }}, max(small_groups)
FROM facts
INNER JOIN (
    SELECT label AS group_name, small_groups FROM placed WHERE NOT ({{ is_shown }})
) AS others ON name_of_group = group_name
HAVING count(*) > 0
