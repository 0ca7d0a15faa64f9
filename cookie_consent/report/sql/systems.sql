{# Visitors by operating system. #}
{% extends "agents.sql" %}
{% set column = "os" %}
