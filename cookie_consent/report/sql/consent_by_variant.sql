{# Consent by layout of the question. #}
{% extends "consent_by_thing.sql" %}
{% from "answers.sql" import of_questions as names %}
{% set thing = "variant" %}
