{# Give codes to the rows of `fresh` that a table lacks: its other `columns` in the order of the table. #}
{% macro add_new(table, code, columns, fresh) %}
INSERT INTO {{ table }}
SELECT (SELECT coalesce(max({{ code }}), 0) FROM {{ table }}) + row_number() OVER (), {{ columns }}
FROM (SELECT {{ columns }} FROM ({{ fresh }}) EXCEPT SELECT {{ columns }} FROM {{ table }})
{%- endmacro %}
