{# Pages that were seen after a page of the report. #}
{% extends "beside.sql" %}
{% set here, beside, wanted = "path", "next_path", "under" %}
