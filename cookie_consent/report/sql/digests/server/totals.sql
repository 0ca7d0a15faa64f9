{# The totals of the range. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
SELECT
    (
        SELECT count(*) FROM (SELECT DISTINCT {{ each("visitors") }} AS visitor FROM ({{ of_kind(numbers.views, "visitors") }}) AS facts) AS people
    ) AS visitors,
    (SELECT count(*) FROM earlier) AS returning,
    (SELECT coalesce(sum(n0), 0) FROM ({{ of_kind(numbers.views, "n0") }}) AS facts) AS views,
    (SELECT coalesce(sum(n0), 0) FROM ({{ of_kind(numbers.exempt, "n0") }}) AS facts) AS exempt,
    (SELECT coalesce(sum(n0), 0) FROM ({{ of_kind(numbers.sessions, "n0") }}) AS facts) AS sessions,
    (SELECT coalesce(sum(n1), 0) FROM ({{ of_kind(numbers.sessions, "n1") }}) AS facts) AS bounces,
    {{ quantile("0.5", "value") }} AS median_seconds,
    coalesce(sum(value), 0) AS all_seconds
FROM (SELECT {{ each("measured") }} AS value FROM ({{ of_kind(numbers.sessions, "measured") }}) AS facts) AS lengths
