{# The marks of the steps of goals and funnels that something is. A letter of `marks` says what each step is.

   `page` and `event` are columns; `seen` is SQL for what has to hold for pages, with AND behind it. #}
{% macro mark(kind, value, page, event, seen) %}
{% if kind == "e" %}{{ event }} = {{ value }}
{%- elif kind == "p" %}{{ seen }}{{ page }} = {{ value }}
{%- else %}{{ seen }}substring({{ page }}, 1, length({{ value }})) = {{ value }}
{%- endif %}
{% endmacro %}
{% macro all_marks(marks, page, event, seen="") %}
concat(''{% for kind in marks %}, CASE WHEN {{ mark(kind, text("mark_" ~ loop.index0), page, event, seen) }} THEN '<{{ loop.index0 }}>' ELSE '' END{% endfor %})
{%- endmacro %}
