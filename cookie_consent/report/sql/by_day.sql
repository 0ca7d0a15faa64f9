{# Visitors, sessions and views by day, for days with any. `counted` is 1 if the day has counts of all page views.

   Those counts leave out page views that scripts report. So a share divides one count by another, never by `views`. #}
WITH parts AS (
    SELECT {{ whole("came", "86400000") }} AS number,
        count(DISTINCT visitor) AS visitors, 0 AS sessions, count(*) AS views,
        0 AS recorded, 0 AS all_views, 0 AS counted
    FROM records
    WHERE viewed = 1 AND inside = 1
    GROUP BY {{ whole("came", "86400000") }}
    UNION ALL
    SELECT {{ whole("began", "86400000") }}, 0, count(*), 0, 0, 0, 0
    FROM sessions
    GROUP BY {{ whole("began", "86400000") }}
    UNION ALL
    SELECT number, 0, 0, 0,
        sum(CASE WHEN name = 'views_recorded' THEN value ELSE 0 END),
        sum(CASE WHEN name = 'views' THEN value ELSE 0 END),
        1
    FROM counts
    WHERE name IN ('views', 'views_recorded')
    GROUP BY number
)
SELECT number, sum(visitors) AS day_visitors, sum(sessions) AS day_sessions, sum(views) AS day_views,
    sum(recorded) AS day_all_views_recorded, sum(all_views) AS day_all_views, sum(counted) AS day_counted
FROM parts
GROUP BY number
