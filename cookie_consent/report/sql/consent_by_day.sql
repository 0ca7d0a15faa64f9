{# Consent by day. #}
{% from "answers.sql" import answers %}
SELECT
    number,
{{ answers("name") }}
FROM counts
GROUP BY number
