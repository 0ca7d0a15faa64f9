{# Consent by version of the policy. #}
{% extends "consent_by_thing.sql" %}
{% from "answers.sql" import of_questions as names %}
{% set thing = "policy" %}
