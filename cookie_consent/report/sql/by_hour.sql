{# Views and sessions by local hour of the day, over the whole range, and of how many visitors these are. #}
{% from "local_time.sql" import local with context %}
{% macro hour(time) %}({{ whole(local(time), "3600000") }} - 24 * {{ whole(local(time), "86400000") }}){% endmacro %}
WITH parts AS (
    SELECT {{ hour("came") }} AS number, visitor AS viewer, NULL AS beginner
    FROM records
    WHERE viewed = 1 AND inside = 1
    UNION ALL
    SELECT {{ hour("began") }}, NULL, visitor
    FROM sessions
)
SELECT number, count(viewer) AS hour_views, count(beginner) AS hour_sessions,
    count(DISTINCT viewer) AS hour_visitors, count(DISTINCT beginner) AS hour_beginners
FROM parts
GROUP BY number
