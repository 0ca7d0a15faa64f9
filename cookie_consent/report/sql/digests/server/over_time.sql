{# Visitors, sessions and views by steps of time. #}
{% extends "digests/over_time.sql" %}
{% block parts %}
{% from "digests/server/of_kind.sql" import of_kind with context %}
{% from "digests/server/steps.sql" import step with context %}
{% if each_step == "each_hour" %}
{% set number_of, views, sessions = "CAST(name AS BIGINT)", numbers.view_hours, numbers.session_hours %}
{% else %}
{% set number_of, views, sessions = step("day"), numbers.views, numbers.sessions %}
{% endif %}
WITH seen AS (
    SELECT DISTINCT {{ number_of }} AS number, {{ each("visitors") }} AS visitor
    FROM ({{ of_kind(views, "day, name, visitors") }}) AS facts
),
parts AS (
    SELECT number, count(*) AS visitors, 0 AS sessions, 0 AS views, 0 AS recorded, 0 AS all_views, 0 AS counted
    FROM seen
    GROUP BY number
    UNION ALL
    SELECT {{ number_of }}, 0, n0, 0, 0, 0, 0 FROM ({{ of_kind(sessions, "day, name, n0") }}) AS facts
    UNION ALL
    SELECT {{ number_of }}, 0, 0, n0, 0, 0, 0 FROM ({{ of_kind(views, "day, name, n0") }}) AS facts
{% if each_step != "each_hour" %}
    UNION ALL
    SELECT {{ step("number") }}, 0, 0, 0,
        CASE WHEN name = 'views_recorded' THEN value ELSE 0 END, CASE WHEN name = 'views' THEN value ELSE 0 END, 1
    FROM counts
    WHERE name IN ('views', 'views_recorded')
{% endif %}
)
{% endblock %}
