{# New visitors by the week of their first view, as the file of this name beside the folder of digests. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
{% from "digests/server/steps.sql" import step with context %}
WITH weeks AS (
    SELECT visitor, week FROM (
        SELECT DISTINCT {{ step("day") }} AS week, {{ each("visitors") }} AS visitor
        FROM ({{ of_kind(numbers.consented, "day, visitors") }}) AS facts
    ) AS seen
    WHERE visitor NOT IN (SELECT visitor FROM earlier)
),
cohorts AS (
    SELECT visitor AS newcomer, min(week) AS cohort FROM weeks GROUP BY visitor
)
SELECT cohort, week - cohort AS later, count(*) AS people
FROM weeks
INNER JOIN cohorts ON visitor = newcomer
GROUP BY cohort, week - cohort
