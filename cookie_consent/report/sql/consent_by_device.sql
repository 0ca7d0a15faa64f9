{# Consent by kind of device. #}
{% extends "consent_by_thing.sql" %}
{% from "answers.sql" import of_devices as names %}
{% set thing = "device" %}
