{# By local hour of the day. #}
{% from "digests/hours.sql" import sums_of_hours with context %}
{% from "local_time.sql" import local_hour with context %}
WITH hours AS (
    SELECT {{ local_hour("number") }} AS hour, sessions, views FROM ({{ sums_of_hours() }})
)
SELECT {{ whole("hour", "3600000") }} - 24 * {{ whole("hour", "86400000") }} AS number,
    sum(views) AS hour_views, sum(sessions) AS hour_sessions
FROM hours
GROUP BY number
