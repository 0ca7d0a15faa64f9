{# Consent by purpose. #}
{% extends "consent_by_thing.sql" %}
{% from "answers.sql" import of_purposes as names %}
{% set thing = "purpose" %}
