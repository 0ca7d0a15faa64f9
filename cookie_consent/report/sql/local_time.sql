{# Local times, as milliseconds. The variable `changes` is the number of changes of the offset in the range. #}
{% macro offset(time) %}
{% if changes %}
CASE
{%- for later in range(1, changes + 1) %} WHEN {{ time }} < {{ number("change_" ~ later) }} THEN {{ number("offset_" ~ (later - 1)) }}
{%- endfor %} ELSE {{ number("offset_" ~ changes) }} END
{%- else %}
{{ number("offset_0") -}}
{% endif %}
{% endmacro %}
{% macro local(time) %}({{ time }} + {{ offset(time) }}){% endmacro %}
{% macro local_day(time) %}{{ whole(local(time), "86400000") }}{% endmacro %}
