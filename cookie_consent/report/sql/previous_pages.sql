{# Pages that were seen before a page of the report. #}
{% extends "beside.sql" %}
{% set here, beside, wanted = "next_path", "path", "next_under" %}
