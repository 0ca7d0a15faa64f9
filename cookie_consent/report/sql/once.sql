{# Delete duplicates from a DuckDB table. There are hardly any, so this is faster than DISTINCT ON. #}
DELETE FROM {{ table }}
WHERE rowid IN (
    SELECT again FROM (
        SELECT rowid AS again, row_number() OVER (PARTITION BY uid ORDER BY rowid) AS place
        FROM {{ table }}
        WHERE hash(uid) IN (SELECT hash(uid) FROM {{ table }} GROUP BY hash(uid) HAVING count(*) > 1)
    )
    WHERE place > 1
)
