{# By local hour of the day. #}
{% from "local_time.sql" import local with context %}
WITH hours AS (
    SELECT kind, n0, {{ local("text::BIGINT") }} AS hour
    FROM all_names
    INNER JOIN (
        SELECT kind, name, sum(n0) AS n0 FROM sums
        WHERE kind IN ({{ numbers.view_hours }}, {{ numbers.session_hours }})
        GROUP BY kind, name
    ) ON name = code
)
SELECT {{ whole("hour", "3600000") }} - 24 * {{ whole("hour", "86400000") }} AS number,
    sum(CASE WHEN kind = {{ numbers.view_hours }} THEN n0 ELSE 0 END) AS hour_views,
    sum(CASE WHEN kind = {{ numbers.session_hours }} THEN n0 ELSE 0 END) AS hour_sessions
FROM hours
GROUP BY number
