{# Visitors by a property that each of their records has: of the user agent, or the country. The variable `column` names
   it. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(DISTINCT visitor)" %}
{% block facts %}
    SELECT CASE WHEN {{ column }} = '' THEN '(unknown)' ELSE {{ column }} END AS name, visitor
    FROM records
    WHERE viewed = 1 AND inside = 1{{ " AND " ~ only if only is defined }}
{% endblock %}
{% block measures %}
    count(DISTINCT visitor) AS visitors,
    count(*) AS views
{% endblock %}
