{# The sessions that reached a goal. #}
SELECT count(*) AS sessions, count(DISTINCT visitor) AS visitors
FROM sessions
WHERE position({{ text("goal") }} IN trail) > 0
