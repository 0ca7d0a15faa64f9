{# In which buckets the wanted quantiles of the values of a `kind` are: for each label and share, the ranks of the two nearest
   values, and their places in their buckets. `labelled` is a table of names and their labels. #}
CREATE OR REPLACE TEMPORARY TABLE wanted AS
WITH counted AS (
    SELECT label, bucket, sum(n)::BIGINT AS n
    FROM buckets INNER JOIN {{ labelled }} AS labelled USING (name)
    WHERE kind = {{ kind.number }}
    GROUP BY label, bucket
),
placed AS (
    SELECT label, bucket, n, sum(n) OVER (PARTITION BY label)::BIGINT AS total,
        (sum(n) OVER (PARTITION BY label ORDER BY bucket ROWS UNBOUNDED PRECEDING) - n)::BIGINT AS below
    FROM counted
),
asked AS (
    SELECT label, share, (total - 1)::DOUBLE * share AS rank
    FROM (SELECT DISTINCT label, total FROM placed), (SELECT unnest([{{ shares | join(", ") }}]::DOUBLE[]) AS share)
)
SELECT label, share, rank, is_upper, bucket,
    (CASE WHEN is_upper THEN ceil(rank) ELSE floor(rank) END)::BIGINT - below + 1 AS place
FROM asked CROSS JOIN (SELECT unnest([false, true]) AS is_upper) AS ends
INNER JOIN placed USING (label)
WHERE (CASE WHEN is_upper THEN ceil(rank) ELSE floor(rank) END) BETWEEN below AND below + n - 1
