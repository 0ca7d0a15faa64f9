{# The values of a `kind` into the block `db`: sorted by bucket if they are many, so that a report reads few of them. #}
{% from "digests/each.sql" import each_coded with context %}
INSERT INTO {{ db }}.measured
FROM ({{ each_coded("measured", "day, value, bucket", "kind = " ~ kind.number) }})
ORDER BY {{ "bucket" if are_many else "name, value" }}
