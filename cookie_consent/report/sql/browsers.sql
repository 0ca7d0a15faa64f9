{# Visitors by browser family. #}
{% extends "agents.sql" %}
{% set column = "browser" %}
