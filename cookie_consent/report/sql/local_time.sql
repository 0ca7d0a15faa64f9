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
{# The number of the step that a time is in. An hour has that of its first moment: one that comes twice when clocks are set
   back is two. Weeks begin on Monday, and 1 January 1970 was a Thursday. #}
{% macro step_of(step, time) %}
{% if step == "hour" %}
({{ whole(local(time), "3600000") }} * 3600000 - {{ offset(time) }})
{%- elif step == "hour of the day" %}
({{ whole(local(time), "3600000") }} - 24 * {{ local_day(time) }})
{%- elif step == "week" %}
{{ whole("(" ~ local_day(time) ~ " + 3)", "7") }}
{%- elif step == "month" %}
{{ month(local_day(time)) }}
{%- else %}
{{ local_day(time) }}
{%- endif %}
{% endmacro %}
