{# What pages told, besides that they were left. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT event AS name, visitor FROM records WHERE inside = 1 AND event NOT IN ('', 'page_leave')
{% endblock %}
{% block measures %}
    count(*) AS events,
    count(DISTINCT visitor) AS visitors
{% endblock %}
