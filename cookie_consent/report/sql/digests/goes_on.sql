{# Whether a stay of the digests f0, f1, … goes on with one of the block `db` that is not recent any more. #}
{% from "digests/each.sql" import each with context %}
SELECT count(*) > 0 FROM ({{ each("stays", "guest, began, ended") }}) AS later
INNER JOIN {{ db }}.stays AS stays
    ON stays.guest = later.guest AND later.began <= stays.ended + 1800000 AND later.ended >= stays.began - 1800000
WHERE NOT recent
