{# The tables as analysts read them, in a database beside the log: page views and errors, and sessions with a page view. #}
{% set campaign %}
    split_part(campaign, '&', 1) AS source,
    split_part(campaign, '&', 2) AS medium,
    split_part(campaign, '&', 3) AS campaign
{%- endset %}
CREATE OR REPLACE VIEW kept.views AS
SELECT
    make_timestamp(came * 1000) AS time,
    visitor, host, path, status, viewed = 1 AS viewed, event, referrer,
    {{ campaign }},
    browser, os, device, country, duration_ms
FROM read_parquet('{{ folder }}/records/*.parquet')
WHERE viewed = 1 OR status >= 400;
CREATE OR REPLACE VIEW kept.sessions AS
SELECT
    make_timestamp(began * 1000) AS began,
    lasted / 1000 AS seconds,
    visitor, host, views, pages, entry_path, exit_path, bounced = 1 AS bounced, referrer,
    {{ campaign }}
FROM read_parquet('{{ folder }}/sessions/*.parquet')
WHERE views > 0;
