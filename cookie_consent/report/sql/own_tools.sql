{# The tables as analysts read them: page views and errors, and sessions with a page view.

   `views` and `sessions` are their names. They are made of `of_records` and `of_sessions`, in which `time` is the time of
   a record. #}
{% set campaign %}
    {{ part_of("campaign", 1) }} AS source,
    {{ part_of("campaign", 2) }} AS medium,
    {{ part_of("campaign", 3) }} AS campaign
{%- endset %}
CREATE OR REPLACE VIEW {{ views }} AS
SELECT
    {{ time }} AS time,
    visitor, host, path, status, viewed = 1 AS viewed, event, referrer,
    {{ campaign }},
    browser, os, device, country, duration_ms
FROM {{ of_records }}
WHERE viewed = 1 OR status >= 400
{{ ending }};
CREATE OR REPLACE VIEW {{ sessions }} AS
SELECT
    {{ moment("began") }} AS began,
    lasted / 1000 AS seconds,
    visitor, host, views, pages, entry_path, exit_path, bounced = 1 AS bounced, referrer,
    {{ campaign }},
    channel
FROM {{ of_sessions }}
WHERE views > 0
{{ ending }}
