{# Requests that failed on the server (status 500 and above), by path. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT path AS name, visitor FROM records WHERE status >= 500 AND kind <> 'event' AND inside = 1
{% endblock %}
{% block measures %}
    count(*) AS requests,
    count(DISTINCT visitor) AS visitors
{% endblock %}
