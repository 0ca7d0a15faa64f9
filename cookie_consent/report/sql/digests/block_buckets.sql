{# How many values of the block `db` are in each bucket: of those behind the first `counted`, which are counted already. #}
INSERT INTO {{ db }}.buckets
SELECT kind, host, name, day, bucket, count(*) FROM {{ db }}.measured WHERE rowid >= {{ counted }} GROUP BY ALL
