{# A list of groups. Groups with fewer people than the threshold, and those after the requested number of rows, are joined
   into the row "(other)". Its numbers and quantiles are exact, because they are computed from the facts.
   `people_joined` is the number of people in that row.

   A list defines `sorted_by`, the number to sort by; `people`, an upper bound of the people in a group; and the blocks
   `facts` and `measures`. #}
{% set headcount = people | default("count(DISTINCT visitor)") %}
WITH facts AS {{ facts() }} (
    {% block facts %}{% endblock %}
),
sizes AS (
    SELECT name, {{ sorted_by }} AS size, {{ headcount }} AS people
    FROM facts
    GROUP BY name
    HAVING {{ headcount }} > 0
),
marked AS (
    SELECT name, size, CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small FROM sizes
),
placed AS (
    SELECT name, small, row_number() OVER (ORDER BY small, size DESC, name) AS place FROM marked
),
labels AS (
    SELECT name, small, CASE WHEN small = 1 OR place > {{ number("most") }} THEN 1 ELSE 0 END AS joined FROM placed
),
labelled AS (
    SELECT facts.*, CASE WHEN joined = 1 THEN '(other)' ELSE facts.name END AS label, joined, small
    FROM facts
    INNER JOIN labels ON facts.name = labels.name
)
SELECT
    label,
    joined,
    {% block measures %}{% endblock %},
    {{ headcount }} FILTER (WHERE joined = 1) AS people_joined,
    (SELECT count(*) FROM labels WHERE small = 1) AS small_groups
FROM labelled
GROUP BY label, joined
