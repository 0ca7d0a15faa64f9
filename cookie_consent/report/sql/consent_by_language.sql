{# Consent by language. #}
{% extends "consent_by.sql" %}
{% from "answers.sql" import without_signal as names %}
{% set column = "language" %}
