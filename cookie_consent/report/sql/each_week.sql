{# By week, which begins on Monday. 1 January 1970 was a Thursday. #}
{% from "local_time.sql" import local_day with context %}
{% extends "over_time.sql" %}
{% macro step(time) %}{{ whole("(" ~ local_day(time) ~ " + 3)", "7") }}{% endmacro %}
