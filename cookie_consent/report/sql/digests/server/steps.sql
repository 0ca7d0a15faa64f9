{# The numbers of steps of time, from days; `step` says of which. #}
{% macro step(day) %}
{%- if each_step == "each_week" %}{{ whole("(" ~ day ~ " + 3)", "7") }}
{%- elif each_step == "each_month" %}{{ month(day) }}
{%- else %}{{ day }}
{%- endif %}
{%- endmacro %}
