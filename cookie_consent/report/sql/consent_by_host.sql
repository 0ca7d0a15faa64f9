{# Consent by host. #}
{% extends "consent_by.sql" %}
{% from "answers.sql" import all_answers as names %}
{% set column = "host" %}
