{# A list of groups: a row of `figures.py`, named `figure`. Groups with fewer people than the threshold, and those after the
   requested number of rows, are joined into the row "(other)". Its numbers and quantiles are exact, because they are
   computed from the facts. `people` is the number of people in a row. #}
{% from "measures.sql" import counted, label, measure, measures with context %}
WITH facts AS {{ facts() }} (
    SELECT counted.*, {{ label(figure) }} AS name_of_group FROM {{ counted(figure) }}
),
sizes AS (
    SELECT name_of_group, {{ measure(figure, figure.measures[0]) }} AS size, {{ figure.people }} AS people
    FROM facts
    GROUP BY name_of_group
    HAVING {{ figure.people }} > 0
),
marked AS (
    SELECT name_of_group, size, CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small FROM sizes
),
placed AS (
    SELECT name_of_group, small, row_number() OVER (ORDER BY small, size DESC, name_of_group) AS place FROM marked
),
labels AS (
    SELECT name_of_group AS name, small, CASE WHEN small = 1 OR place > {{ number("most") }} THEN 1 ELSE 0 END AS joined
    FROM placed
),
labelled AS (
    SELECT facts.*, CASE WHEN joined = 1 THEN '(other)' ELSE name_of_group END AS label, joined, small
    FROM facts
    INNER JOIN labels ON name_of_group = labels.name
)
SELECT
    label,
    joined,
    {{ measures(figure) }},
    {{ figure.people }} AS people,
    (SELECT count(*) FROM labels WHERE small = 1) AS small_groups
FROM labelled
GROUP BY label, joined
