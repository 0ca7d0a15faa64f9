{# Columns one after the other. #}
{% macro each_of(columns, before="", after="") %}{% for column in columns %}{{ before }}{{ column }}{{ after }}{% endfor %}{% endmacro %}
