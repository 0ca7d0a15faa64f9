{# The totals of the range. #}
SELECT
    (SELECT count(*) FROM present WHERE kind = {{ numbers.views }}) AS visitors,
    (SELECT count(*) FROM earlier) AS returning,
    (SELECT coalesce(sum(n0), 0) FROM sums WHERE kind = {{ numbers.views }}) AS views,
    (SELECT coalesce(sum(n0), 0) FROM sums WHERE kind = {{ numbers.exempt }}) AS exempt,
    (SELECT coalesce(sum(n0), 0) FROM sums WHERE kind = {{ numbers.sessions }}) AS sessions,
    (SELECT coalesce(sum(n1), 0) FROM sums WHERE kind = {{ numbers.sessions }}) AS bounces,
    {{ quantile("0.5", "value") }} AS median_seconds,
    coalesce(sum(value), 0) AS all_seconds
FROM measured
WHERE kind = {{ numbers.sessions }}
