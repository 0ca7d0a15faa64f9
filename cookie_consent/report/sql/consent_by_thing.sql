{# Consent by one `thing`: the counts in `names`, which were added up by it.

   Counts do not tell visitors apart. A row with a value below the threshold has fewer visitors than that, too. First
   questions are among all questions. #}
{% extends "grouped.sql" %}
{% from "answers.sql" import answers %}
{% set sorted_by = "sum(CASE WHEN counted = 'asked' THEN value ELSE 0 END)" %}
{% set people = "sum(CASE WHEN counted IN ('asked_first', 'changed') THEN 0 ELSE value END)" %}
{% block facts %}
    SELECT detail AS name, replace(name, '_by_{{ thing }}', '') AS counted, value
    FROM counts
    WHERE name IN ({% for name in names %}'{{ name }}_by_{{ thing }}'{{ "" if loop.last else ", " }}{% endfor %})
{% endblock %}
{% block measures %}
{{ answers("counted", names) }}
{% endblock %}
