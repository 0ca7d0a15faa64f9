{# Sessions and views by the first moment of their hour. #}
{% macro sums_of_hours() %}
SELECT text::BIGINT AS number, CASE WHEN kind = {{ numbers.session_hours }} THEN n0 ELSE 0 END AS sessions,
    CASE WHEN kind = {{ numbers.view_hours }} THEN n0 ELSE 0 END AS views
FROM all_names
INNER JOIN (
    SELECT kind, name, sum(n0) AS n0 FROM sums
    WHERE kind IN ({{ numbers.session_hours }}, {{ numbers.view_hours }})
    GROUP BY kind, name
) ON name = code
{% endmacro %}
