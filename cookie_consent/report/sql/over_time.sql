{# Visitors, sessions and views by steps of time, for steps with any. A step has a number.

   A file defines the macro `step(time)`: the number of the step that a time is in.

   `beginners` are the visitors of the sessions that began.

   `counted` is 1 if the step has counts of all page views. Those leave out page views that scripts report. So a share
   divides one count by another, never by `views`. #}
WITH seen AS (
    SELECT {{ step("came") }} AS number, visitor FROM records WHERE viewed = 1 AND inside = 1
),
begun AS (
    SELECT {{ step("began") }} AS number, visitor FROM sessions
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
    SELECT {{ step("came") }}, 0, 0, 0, 0,
        sum(CASE WHEN name = 'views_recorded' THEN value ELSE 0 END),
        sum(CASE WHEN name = 'views' THEN value ELSE 0 END),
        1
    FROM counts
    WHERE name IN ('views', 'views_recorded')
    GROUP BY {{ step("came") }}
)
SELECT number, sum(visitors) AS day_visitors, sum(beginners) AS day_beginners, sum(sessions) AS day_sessions, sum(views) AS day_views,
    sum(recorded) AS day_all_views_recorded, sum(all_views) AS day_all_views, sum(counted) AS day_counted
FROM parts
GROUP BY number
