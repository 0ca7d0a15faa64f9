{# By month, numbered since 1970. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro of_day(day) %}{{ month(day) }}{% endmacro %}
{% macro step(time) %}{{ of_day(local_day(time)) }}{% endmacro %}
