{# Quantiles of the values of a `kind`, each for all values with a label: exact, by rank. Only the values of the `buckets` of
   wanted.sql are read and sorted. The result is that of quantile_cont: interpolated between the two nearest values. #}
CREATE OR REPLACE TEMPORARY TABLE found_quantiles AS
WITH sorted AS (
    SELECT label, bucket, list_sort(list(value)) AS sorted
    FROM measured
    INNER JOIN {{ labelled }} AS labelled USING (name)
    INNER JOIN (SELECT DISTINCT label, bucket FROM wanted) AS chosen USING (label, bucket)
    WHERE kind = {{ kind.number }} AND bucket IN ({{ (buckets + [65535]) | join(", ") }})
    GROUP BY label, bucket
),
ends AS (
    SELECT label, share, rank - floor(rank) AS part,
        max(sorted[place]) FILTER (WHERE NOT is_upper) AS lower, max(sorted[place]) FILTER (WHERE is_upper) AS upper
    FROM wanted INNER JOIN sorted USING (label, bucket)
    GROUP BY label, share, rank
)
SELECT label, share, CASE WHEN part = 0 THEN lower ELSE lower * (1 - part) + upper * part END AS value FROM ends
