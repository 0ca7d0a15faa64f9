{# The records in the range and some hours around it, without duplicates, and only the columns that figures use.

   - `viewed`: a person saw a page.
   - `under`: the path is one of the pages of the segment; of any segment without pages.
   - `inside`: `under`, and within the range.
   - `guest`: a visitor on one host.
   - `referrer`: only of another site, or "(internal)". A site with and without "www." is one. Of an error, also the page of
     this site.
   - `campaign`: source, medium and campaign, URL-encoded and joined with &. The id of a click on an advertisement stands
     for one, where nothing names it.

   - `marks`: the numbers of the steps of goals and funnels that the record is, each as "<number>". Only for a question that
     has such steps. A letter of `marks` says what each step is: event, page, or beginning of a path.
   - `properties`: what an event brings, as JSON.

   Requests that are no views keep only their route, status and duration; errors also their path and referrer. #}
{% from "sites.sql" import site_of_address, site_of_host %}
{% from "marks.sql" import all_marks %}
{% from "where.sql" import holds %}
{% set own_page = matched("referrer", "^[a-z][a-z0-9+.-]*://[^/]*(/[^ ?#]*)") %}
{% set marks = marks | default("") %}
{{ create | default("CREATE TEMPORARY TABLE") }} {{ segment.tables.records }} AS
WITH known AS (
    SELECT {{ once() }}
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
        {% if segment.pages %}
        CASE
            WHEN {% for page in segment.pages %}{{ holds(page) }}{{ "" if loop.last else " OR " }}{% endfor %} THEN 1 ELSE 0
        END AS under,
        {% else %}
        1 AS under,
        {% endif %}
        coalesce(status, 0) AS status,
        coalesce(duration_ms, 0) AS duration_ms,
        CASE WHEN coalesce(event, '') NOT IN ('', 'page_leave') THEN properties END AS properties
    FROM access_records
    WHERE time >= {{ moment(number("read_since")) }}
        AND time < {{ moment(number("read_end")) }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% for filter in segment.of_records %}
        AND {{ holds(filter) }}
    {% endfor %}
)
SELECT
    uid, came, kind, method, route, event, browser, os, device, country, viewed, under, status, duration_ms, properties,
    {% if marks %}
    {{ all_marks(marks, "path", "event", "viewed = 1 AND ") }} AS marks,
    {% endif %}
    {{ hashed("visitor") }} AS visitor,
    {{ hashed("concat(visitor, ' ', host)") }} AS guest,
    CASE WHEN kind = 'request' AND status < 400 THEN '' ELSE path END AS path,
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
    END AS campaign,
    CASE WHEN under = 1 AND came >= {{ number("since") }} AND came < {{ number("end") }} THEN 1 ELSE 0 END AS inside
FROM known
