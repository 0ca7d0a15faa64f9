{# Events by name, except "page_leave". #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT event AS name, visitor FROM records WHERE inside = 1 AND event NOT IN ('', 'page_leave')
{% endblock %}
{% block measures %}
    count(*) AS events,
    count(DISTINCT visitor) AS visitors
{% endblock %}
