{# Views of the tables that are kept of files, and of what is `beside` them: all records, those `after_cut` that sessions
   may go on in, or all sessions. #}
{% set of_host %}({{ text("host") }} = '' OR host = {{ text("host") }}){% endset %}
CREATE VIEW {{ view }} AS
{% if view == "all_records" %}
SELECT * FROM beside
{% if tables %}
UNION ALL
SELECT * FROM read_parquet(getvariable('records_tables'))
{% endif %}
{% elif view == "after_cut" %}
SELECT *
FROM all_records
WHERE came >= {{ number("cut") }} - {{ margin }} AND came < {{ number("read_end") }} AND {{ of_host }}
{% else %}
SELECT *
FROM read_parquet(getvariable('sessions_tables'))
WHERE first_began < {{ number("cut") }} AND {{ of_host }}
UNION ALL
SELECT * FROM anew
{% endif %}
