{# By local day. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro of_day(day) %}{{ day }}{% endmacro %}
{% macro step(time) %}{{ local_day(time) }}{% endmacro %}
