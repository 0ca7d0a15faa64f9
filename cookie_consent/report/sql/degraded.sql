{# Features that gave their fallback, by views.

   Counts do not tell visitors apart. A row with fewer views than the threshold has fewer visitors, too. #}
{% extends "grouped.sql" %}
{% set sorted_by, people = "sum(value)", "sum(value)" %}
{% block facts %}
    SELECT detail AS name, value FROM counts WHERE name = 'degraded'
{% endblock %}
{% block measures %}
    sum(value) AS views
{% endblock %}
