{# Consent by `column`, for the counts in `names`.

   Counts do not tell visitors apart. A row with a value below the threshold has fewer visitors than that, too. #}
{% extends "grouped.sql" %}
{% from "answers.sql" import answers %}
{% set sorted_by, people = "sum(CASE WHEN counted = 'asked' THEN value ELSE 0 END)", "sum(CASE WHEN counted = 'changed' THEN 0 ELSE value END)" %}
{% block facts %}
    SELECT {{ column }} AS name, name AS counted, value
    FROM counts
    WHERE name IN ('{{ names | join("', '") }}') AND {{ column }} <> ''
{% endblock %}
{% block measures %}
{{ answers("counted", names) }}
{% endblock %}
