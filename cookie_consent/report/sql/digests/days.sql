{# The local day of a time, as days since 1970, and the first moment of its local hour. #}
{% from "local_time.sql" import local, local_day, offset with context %}
{% macro day(time) %}{{ local_day("floor(" ~ time ~ ")::BIGINT") }}::INTEGER{% endmacro %}
{% macro hour(time) %}({{ whole(local(time), "3600000") }} * 3600000 - {{ offset(time) }}){% endmacro %}
