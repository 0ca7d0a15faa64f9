{# Pages that were seen one after the other in a session of the report. A page that is loaded again is no next page.

   The views of a session follow one another among those of a guest: it has `views` of them, from `first_view` on.
   `begins` is that number at the first view, and 0 at the others.

   `under` and `next_under`: the path of the one and the other begins with the requested one. An engine with little memory
   for sorting fills the table in `parts`, as that of sessions. For digests, `with_guests` is set: see sessions.sql; or
   `with_host` for those of servers. #}
{% set more = ", host, stay, session_day" if with_guests is defined else ", host" if with_host is defined else "" %}
{% set create = create | default("CREATE TEMPORARY TABLE") %}
{% set part, parts = part | default(0), parts | default(1) %}
{% set in_order = "(PARTITION BY guest ORDER BY came, uid)" %}
{{ "INSERT INTO pairs" if part else create ~ " pairs AS" }}
WITH seen AS (
    SELECT guest, visitor, came, uid, path, under, coalesce(views, 0) AS begins{{ more }}
    FROM records
    LEFT JOIN (
        SELECT guest AS whose, first_view, views{{ ", stay, day AS session_day" if with_guests is defined }} FROM sessions WHERE views > 1
    ) AS begun ON guest = whose AND uid = first_view
    WHERE viewed = 1
        {{ "AND guest IN (SELECT guest FROM records WHERE viewed = 1 AND under = 1)" if of_path }}
        {{ "AND guest % " ~ parts ~ " = " ~ part if parts > 1 else "" }}
),
placed AS (
    SELECT guest, visitor, path, under, begins{{ more }},
        row_number() OVER {{ in_order }} AS place,
        lead(path, 1, '') OVER {{ in_order }} AS next_path,
        lead(under, 1, 0) OVER {{ in_order }} AS next_under
    FROM seen
),
reaching AS (
    SELECT visitor, path, under, next_path, next_under, place,
        {% if with_host is defined %}
        host,
        {% elif with_guests is defined %}
        guest, host, max(stay) OVER so_far AS stay, max(session_day) OVER so_far AS day,
        {% endif %}
        max(CASE WHEN begins > 0 THEN place + begins ELSE 0 END) OVER so_far AS session_end
    FROM placed
    WINDOW so_far AS (PARTITION BY guest ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT visitor, path, under, next_path, next_under
    {{- ", guest, host, stay, day" if with_guests is defined else ", host" if with_host is defined }}
FROM reaching
WHERE place + 1 < session_end AND path <> next_path AND (under = 1 OR next_under = 1)
