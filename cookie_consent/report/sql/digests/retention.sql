{# New visitors by the week of their first view, as the file of this name beside this folder. #}
{% from "digests/weeks.sql" import visitors_by_step with context %}
WITH weeks AS (
    SELECT visitor, step AS week
    FROM ({{ visitors_by_step(consented) }})
    WHERE visitor NOT IN (SELECT visitor FROM earlier)
),
cohorts AS (
    SELECT visitor AS newcomer, min(week) AS cohort FROM weeks GROUP BY visitor
)
SELECT cohort, week - cohort AS later, count(*) AS people
FROM weeks
INNER JOIN cohorts ON visitor = newcomer
GROUP BY cohort, week - cohort
