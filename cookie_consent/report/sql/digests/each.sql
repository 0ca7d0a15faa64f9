{# A table of all digests f0, f1, …, with the number of the file. #}
{% macro each(table, columns) %}
{% for file in range(files) %}
SELECT {{ file }}::INTEGER AS file, {{ columns }} FROM f{{ file }}.{{ table }}
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
{% endmacro %}
