{# How often the question was asked, and the answers. #}
{% from "answers.sql" import answers %}
SELECT
{{ answers("name") }}
FROM counts
