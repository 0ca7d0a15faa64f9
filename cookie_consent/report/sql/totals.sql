{# The totals of the range. #}
SELECT
    (SELECT count(DISTINCT visitor) FROM records WHERE viewed = 1 AND inside = 1) AS visitors,
    (
        SELECT count(*) FROM earlier WHERE visitor IN (SELECT visitor FROM records WHERE viewed = 1 AND inside = 1)
    ) AS returning,
    (SELECT count(*) FROM records WHERE viewed = 1 AND inside = 1) AS views,
    count(*) AS sessions,
    coalesce(sum(bounced), 0) AS bounces,
    {{ quantile("0.5", "lasted / 1000.0") }} AS median_seconds,
    coalesce(sum(lasted), 0) / 1000.0 AS all_seconds
FROM sessions
