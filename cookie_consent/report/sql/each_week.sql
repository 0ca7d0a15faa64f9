{# By week, which begins on Monday. 1 January 1970 was a Thursday. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro of_day(day) %}{{ whole("(" ~ day ~ " + 3)", "7") }}{% endmacro %}
{% macro step(time) %}{{ of_day(local_day(time)) }}{% endmacro %}
