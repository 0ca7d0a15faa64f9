{# The same by `column`, of the answers in `names`. Nobody is told apart here: a row that counts less than the threshold
   has fewer visitors, too. #}
{% extends "grouped.sql" %}
{% from "answers.sql" import answers %}
{% set sorted_by, people = "sum(CASE WHEN counted = 'asked' THEN value ELSE 0 END)", "sum(value)" %}
{% block facts %}
    SELECT {{ column }} AS name, name AS counted, value
    FROM counts
    WHERE name IN ('{{ names | join("', '") }}') AND {{ column }} <> ''
{% endblock %}
{% block measures %}
{{ answers("counted", names) }}
{% endblock %}
