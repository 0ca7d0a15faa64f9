{# Visitors by country, of those whose country is known. #}
{% extends "agents.sql" %}
{% set column = "country" %}
{% set only = "country <> ''" %}
