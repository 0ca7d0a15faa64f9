{# Sessions by the site that they came from. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT visitor, CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END AS name FROM sessions
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    count(DISTINCT visitor) AS visitors
{% endblock %}
