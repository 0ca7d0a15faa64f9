{# Visitors, sessions and views by a `step` of time, for steps with any. A step has a number, see local_time.sql.

   `beginners` are the visitors of the sessions that began.

   `counted` is 1 if the step has counts of all page views. Those leave out page views that scripts report. So a share
   divides one count by another, never by `views`. #}
{% from "local_time.sql" import step_of with context %}
WITH seen AS (
    SELECT {{ step_of(step, "came") }} AS number, visitor FROM records WHERE viewed = 1 AND inside = 1
),
begun AS (
    SELECT {{ step_of(step, "began") }} AS number, visitor FROM sessions
),
parts AS (
    SELECT number, count(DISTINCT visitor) AS visitors, 0 AS beginners, 0 AS sessions, count(*) AS views,
        0 AS recorded, 0 AS all_views, 0 AS counted
    FROM seen
    GROUP BY number
    UNION ALL
    SELECT number, 0, count(DISTINCT visitor), count(*), 0, 0, 0, 0
    FROM begun
    GROUP BY number
    UNION ALL
    SELECT {{ step_of(step, "came") }}, 0, 0, 0, 0,
        sum(CASE WHEN name = 'views_recorded' THEN value ELSE 0 END),
        sum(CASE WHEN name = 'views' THEN value ELSE 0 END),
        1
    FROM counts
    WHERE name IN ('views', 'views_recorded')
    GROUP BY {{ step_of(step, "came") }}
)
SELECT number, sum(visitors) AS row_visitors, sum(beginners) AS row_beginners, sum(sessions) AS row_sessions,
    sum(views) AS row_views, sum(recorded) AS row_all_views_recorded, sum(all_views) AS row_all_views,
    sum(counted) AS row_counted
FROM parts
GROUP BY number
