{# Views and sessions by hour of the day (UTC), over the whole range. #}
{% macro hour(time) %}({{ whole(time, "3600000") }} - 24 * {{ whole(time, "86400000") }}){% endmacro %}
WITH parts AS (
    SELECT {{ hour("came") }} AS number, count(*) AS views, 0 AS sessions
    FROM records
    WHERE viewed = 1 AND inside = 1
    GROUP BY {{ hour("came") }}
    UNION ALL
    SELECT {{ hour("began") }}, 0, count(*)
    FROM sessions
    GROUP BY {{ hour("began") }}
)
SELECT number, sum(views) AS hour_views, sum(sessions) AS hour_sessions
FROM parts
GROUP BY number
