{# What people saw pages with. #}
{% extends "agents.sql" %}
{% set column = "device" %}
