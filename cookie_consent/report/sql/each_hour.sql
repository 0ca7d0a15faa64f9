{# By local hour, numbered by its first moment: an hour that comes twice when clocks are set back is two. #}
{% from "local_time.sql" import local, offset with context %}
{% extends "over_time.sql" %}
{% macro step(time) %}({{ whole(local(time), "3600000") }} * 3600000 - {{ offset(time) }}){% endmacro %}
