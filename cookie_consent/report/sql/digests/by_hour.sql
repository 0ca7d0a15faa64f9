{# By local hour of the day. #}
{% from "local_time.sql" import local with context %}
WITH hours AS (
    SELECT kind, n0, {{ local("text::BIGINT") }} AS hour
    FROM sums INNER JOIN all_names ON name = code
    WHERE kind IN ({{ numbers.view_hours }}, {{ numbers.session_hours }})
)
SELECT {{ whole("hour", "3600000") }} - 24 * {{ whole("hour", "86400000") }} AS number,
    sum(CASE WHEN kind = {{ numbers.view_hours }} THEN n0 ELSE 0 END) AS hour_views,
    sum(CASE WHEN kind = {{ numbers.session_hours }} THEN n0 ELSE 0 END) AS hour_sessions
FROM hours
GROUP BY number
