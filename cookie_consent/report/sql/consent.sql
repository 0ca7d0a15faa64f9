{# How often the question was asked, and what became of it. #}
{% from "answers.sql" import answers, of_all %}
SELECT
{{ answers("name", of_all) }}
FROM counts
