{# The days with activity. #}
{% from "digests/days.sql" import day with context %}
SELECT DISTINCT unnest(range({{ day("first") }}, {{ day("last") }} + 1)) AS day FROM all_sessions ORDER BY day
