{# Visitors by kind of device. #}
{% extends "agents.sql" %}
{% set column = "device" %}
