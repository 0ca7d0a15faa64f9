{# The totals of the range. #}
SELECT
    (SELECT count(DISTINCT visitor) FROM viewers) AS visitors,
    (SELECT count(*) FROM earlier WHERE visitor IN (SELECT visitor FROM viewers)) AS returning,
    (SELECT coalesce(sum(views), 0) FROM viewers) AS views,
    count(*) AS sessions,
    coalesce(sum(bounced), 0) AS bounces,
    {{ quantile("0.5", "lasted / 1000.0") }} AS median_seconds,
    coalesce(sum(lasted), 0) / 1000.0 AS all_seconds
FROM sessions
