{# Sessions by their last page. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT exit_path AS name, visitor FROM sessions
{% endblock %}
{% block measures %}
    count(*) AS sessions
{% endblock %}
