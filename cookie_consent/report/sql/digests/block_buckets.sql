{# How many values of the block `db` are in each bucket. #}
INSERT INTO {{ db }}.buckets SELECT kind, host, name, day, bucket, count(*) FROM {{ db }}.measured GROUP BY ALL
