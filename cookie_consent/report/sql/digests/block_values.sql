{# How many values of each kind the digests f0, f1, … have. #}
{% from "digests/each.sql" import each with context %}
SELECT kind, count(*) FROM ({{ each("measured", "kind") }}) GROUP BY kind
