{# By local day. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro step(time) %}{{ local_day(time) }}{% endmacro %}
