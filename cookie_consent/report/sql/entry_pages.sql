{# Sessions by their first page. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT entry_path AS name, visitor, bounced FROM sessions
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    sum(bounced) AS bounces
{% endblock %}
