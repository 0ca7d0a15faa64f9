{# Views and sessions by local hour of the day, over the whole range. #}
{% from "local_time.sql" import local with context %}
{% macro hour(time) %}({{ whole(local(time), "3600000") }} - 24 * {{ whole(local(time), "86400000") }}){% endmacro %}
WITH parts AS (
    SELECT {{ hour("came") }} AS number, 1 AS views, 0 AS sessions
    FROM records
    WHERE viewed = 1 AND inside = 1
    UNION ALL
    SELECT {{ hour("began") }}, 0, 1
    FROM sessions
)
SELECT number, sum(views) AS hour_views, sum(sessions) AS hour_sessions
FROM parts
GROUP BY number
