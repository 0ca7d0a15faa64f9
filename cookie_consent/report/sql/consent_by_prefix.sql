{# Consent by first part of the page's path. #}
{% extends "consent_by_thing.sql" %}
{% from "answers.sql" import of_questions as names %}
{% set thing = "prefix" %}
