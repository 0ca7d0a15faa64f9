{# By local hour of the day. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
{% from "local_time.sql" import local_hour with context %}
WITH hours AS (
    SELECT {{ local_hour("CAST(name AS BIGINT)") }} AS hour, n0 AS views, 0 AS sessions
    FROM ({{ of_kind(numbers.view_hours, "name, n0") }}) AS facts
    UNION ALL
    SELECT {{ local_hour("CAST(name AS BIGINT)") }}, 0, n0
    FROM ({{ of_kind(numbers.session_hours, "name, n0") }}) AS facts
)
SELECT {{ whole("hour", "3600000") }} - 24 * {{ whole("hour", "86400000") }} AS number,
    sum(views) AS hour_views, sum(sessions) AS hour_sessions
FROM hours
GROUP BY number
