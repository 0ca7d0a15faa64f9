{# How far sessions and visitors come in a funnel. `steps` is the number of its steps; each is a parameter.

   A session has taken a step if it has its mark in a later record than that of the step before. What is left of the trail
   behind that record is `rest`. The trail of a visitor is those of their sessions, one behind the other. `people_sessions`
   are the visitors of the sessions. #}
{% macro behind(trail, step) %}
substring({{ trail }}, position({{ step }} IN {{ trail }}) + position(';' IN substring({{ trail }}, position({{ step }} IN {{ trail }}))))
{%- endmacro %}
{% macro taken(who) %}
{% for number in range(1, steps + 1) %}
{{ who }}_{{ number }} AS (
    SELECT visitor, {{ behind("rest", text("step_" ~ number)) }} AS rest
    FROM {{ who }}_{{ number - 1 }}
    WHERE position({{ text("step_" ~ number) }} IN rest) > 0
){{ "," if not loop.last }}
{% endfor %}
{% endmacro %}
WITH sessions_0 AS (
    SELECT visitor, trail AS rest FROM sessions WHERE trail <> ''
),
{{ taken("sessions") }},
visitors_0 AS (
    SELECT visitor, {{ in_order_of("trail", "began, trail", "trail <> ''") }} AS rest
    FROM sessions
    WHERE trail <> ''
    GROUP BY visitor
),
{{ taken("visitors") }}
{% for number in range(1, steps + 1) %}
SELECT {{ number }} AS step,
    (SELECT count(*) FROM sessions_{{ number }}) AS row_sessions,
    (SELECT count(DISTINCT visitor) FROM sessions_{{ number }}) AS people_sessions,
    (SELECT count(*) FROM visitors_{{ number }}) AS row_visitors,
    (SELECT count(*) FROM visitors_{{ number }}) AS people_visitors
{{ "UNION ALL" if not loop.last }}
{% endfor %}
