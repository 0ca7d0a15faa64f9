{# How often the question was put, and what was answered. #}
{% from "answers.sql" import answers %}
SELECT
{{ answers("name") }}
FROM counts
