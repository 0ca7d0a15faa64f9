{# Their operating systems, by family. #}
{% extends "agents.sql" %}
{% set column = "os" %}
