{# Access records with the columns that figures use.

   - `viewed`: a person saw a page.
   - `guest`: a visitor on one host.
   - `referrer`: only of another site, or "(internal)". A site with and without "www." is one. Of an error, also the page
     of this site.
   - `campaign`: source, medium and campaign, URL-encoded and joined with &. The id of a click on an advertisement stands
     for one, where nothing names it.
   - `properties`: what an event brings, as JSON.

   `bounds` is SQL for the records to take. `times` adds the column `time`, by which a database finds records of a span. #}
{% from "sites.sql" import site_of_address, site_of_host %}
{% set own_page = matched("referrer", "^[a-z][a-z0-9+.-]*://[^/]*(/[^ ?#]*)") %}
SELECT
    {% if times is defined %}
    time,
    {% endif %}
    uid, came, kind, host, path, method, route, event, browser, os, device, country, viewed, status, duration_ms,
    properties,
    {{ hashed("visitor") }} AS visitor,
    {{ hashed("concat(visitor, ' ', host)") }} AS guest,
    CASE
        WHEN referrer = '' OR {{ site_of_address("referrer") }} <> {{ site_of_host("host") }} THEN referrer
        WHEN status < 400 THEN '(internal)'
        WHEN {{ own_page }} = '' THEN '(internal)'
        ELSE {{ own_page }}
    END AS referrer,
    CASE
        WHEN query = '' THEN '&&'
        WHEN {{ matches("query", "(?:^|&)utm_(?:source|medium|campaign)=[^&]") }} THEN concat(
            {{ matched("query", "(?:^|&)utm_source=([^&]*)") }}, '&',
            {{ matched("query", "(?:^|&)utm_medium=([^&]*)") }}, '&',
            {{ matched("query", "(?:^|&)utm_campaign=([^&]*)") }}
        )
        WHEN {{ matches("query", "(?:^|&)(?:gclid|gbraid|wbraid)=") }} THEN 'google&cpc&'
        WHEN {{ matches("query", "(?:^|&)msclkid=") }} THEN 'bing&cpc&'
        ELSE '&&'
    END AS campaign
FROM (
    SELECT {{ once() }}
        {% if times is defined %}
        time,
        {% endif %}
        {{ sortable("uid") }} AS uid,
        {{ milliseconds("time") }} AS came,
        kind,
        coalesce(visitor, uid) AS visitor,
        {{ sortable("coalesce(host, '')") }} AS host,
        {{ sortable("coalesce(path, '')") }} AS path,
        {{ sortable("coalesce(method, '')") }} AS method,
        {{ sortable("coalesce(route, '')") }} AS route,
        CASE WHEN kind = 'request' THEN '' ELSE {{ sortable("coalesce(query, '')") }} END AS query,
        CASE
            WHEN kind = 'view' OR event = 'page_view' OR status >= 400
            THEN {{ sortable("coalesce(referrer, '')") }} ELSE ''
        END AS referrer,
        {{ sortable("coalesce(event, '')") }} AS event,
        {{ sortable("coalesce(browser, '')") }} AS browser,
        {{ sortable("coalesce(os, '')") }} AS os,
        {{ sortable("coalesce(device, '')") }} AS device,
        {{ sortable("coalesce(country, '')") }} AS country,
        CASE WHEN kind = 'view' OR event = 'page_view' THEN 1 ELSE 0 END AS viewed,
        coalesce(status, 0) AS status,
        coalesce(duration_ms, 0) AS duration_ms,
        CASE WHEN coalesce(event, '') NOT IN ('', 'page_leave') THEN properties END AS properties
    FROM access_records
    {{ bounds }}
) AS known
