{# The codes of texts in the tables of a file: 64 bits that only the key gives, so nobody can choose texts of one code.
   NULL is ''. DuckDB computes them once for each text of a Parquet file's dictionary. #}
{% set parts = ("utm_source", "utm_medium", "utm_campaign") %}
{% macro part_of(query, part) %}{{ matched(query, "(?:^|&)" ~ part ~ "=([^&]*)") }}{% endmacro %}
{% macro code(value) %}hash(sha256(concat({{ text("key") }}, {{ value }}))){% endmacro %}
{% macro code_of_campaign(query) %}
hash({% for part in parts %}{{ code(part_of(query, part)) }}{{ "" if loop.last else ", " }}{% endfor %})
{%- endmacro %}
{% macro text_of_campaign(query) %}
concat({% for part in parts %}{{ part_of(query, part) }}{{ "" if loop.last else ", '&', " }}{% endfor %})
{%- endmacro %}
