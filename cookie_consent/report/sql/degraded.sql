{# The features that gave their fallback. Nobody is told apart here: a row of fewer views has fewer visitors, too. #}
{% extends "grouped.sql" %}
{% set sorted_by, people = "sum(value)", "sum(value)" %}
{% block facts %}
    SELECT detail AS name, value FROM counts WHERE name = 'degraded'
{% endblock %}
{% block measures %}
    sum(value) AS views
{% endblock %}
