{# By month, numbered since 1970. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro step(time) %}{{ month(local_day(time)) }}{% endmacro %}
