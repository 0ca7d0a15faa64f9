{# Their browsers, by family. #}
{% extends "agents.sql" %}
{% set column = "browser" %}
