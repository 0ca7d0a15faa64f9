{# Give codes to the names of the values of a `kind`, as names.sql to those of its other facts. #}
{% set column = "text" %}
{% set table %}
(SELECT {{ kind.name }} AS text FROM {{ kind.table }} WHERE {{ kind.value_where }} AND inside = 1)
{% endset %}
{% include "digests/names.sql" %}
