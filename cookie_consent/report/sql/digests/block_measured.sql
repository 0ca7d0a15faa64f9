{# The values of a `kind` into the block `db`, sorted by bucket. #}
{% from "digests/each.sql" import each with context %}
INSERT INTO {{ db }}.measured
SELECT kind, hosts.code, names.code, day, value, bucket
FROM ({{ each("measured", "*") }}) AS measured
INNER JOIN codes AS names ON measured.file = names.file AND measured.name = names.old
INNER JOIN codes AS hosts ON measured.file = hosts.file AND measured.host = hosts.old
WHERE kind = {{ kind.number }} AND day BETWEEN {{ first }} AND {{ last }}
ORDER BY bucket;
