{# New visitors by the week of their first view (`cohort`), and how many had a view so many weeks later; 0 is the cohort.

   A number of a week is its distance from the week that began on 1969-12-29, a Monday. #}
{% from "local_time.sql" import step_of with context %}
WITH weeks AS (
    SELECT DISTINCT visitor, {{ step_of("week", "came") }} AS week
    FROM records
    WHERE viewed = 1 AND inside = 1 AND visitor NOT IN (SELECT visitor FROM earlier)
),
cohorts AS (
    SELECT visitor AS newcomer, min(week) AS cohort FROM weeks GROUP BY visitor
)
SELECT cohort, week - cohort AS later, count(*) AS people
FROM weeks
INNER JOIN cohorts ON visitor = newcomer
GROUP BY cohort, week - cohort
