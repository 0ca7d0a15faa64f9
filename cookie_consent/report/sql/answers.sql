{# The measures of consent. `counted` is the column with the name of a count. A signal has no language. #}
{% set without_signal = ["asked", "granted", "refused", "partial", "withdrawn", "changed"] %}
{% set all_answers = without_signal + ["signal"] %}
{% set of_all = all_answers + ["asked_first", "answered_first", "settings"] %}
{% set of_questions = ["asked", "asked_first", "granted", "refused", "partial", "changed"] %}
{% set of_devices = ["asked", "asked_first", "granted", "changed"] %}
{% set of_purposes = ["asked", "granted", "refused", "withdrawn", "changed"] %}
{% macro answers(counted, names=all_answers) %}
{% for name in names %}
    coalesce(sum(CASE WHEN {{ counted }} = '{{ name }}' THEN value ELSE 0 END), 0) AS all_{{ name }}{{ "" if loop.last else "," }}
{% endfor %}
{% endmacro %}
