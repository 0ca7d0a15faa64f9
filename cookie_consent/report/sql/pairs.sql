{# Pages that were seen one after the other in a session of the report. A page that is loaded again is no next page.

   The views of a session follow one another among those of a guest: it has `views` of them, from `first_view` on.
   `begins` is that number at the first view, and 0 at the others.

   `under` and `next_under`: the one and the other are pages of the segment. An engine with little memory
   for sorting fills the table in `parts`, as that of sessions. #}
{% set create = create | default("CREATE TEMPORARY TABLE") %}
{% set part, parts = part | default(0), parts | default(1) %}
{% set in_order = "(PARTITION BY guest ORDER BY came, uid)" %}
{{ "INSERT INTO pairs" if part else create ~ " pairs AS" }}
WITH seen AS (
    SELECT guest, visitor, came, uid, path, under, coalesce(views, 0) AS begins
    FROM records
    LEFT JOIN (
        SELECT guest AS whose, first_view, views FROM sessions WHERE views > 1
    ) AS begun ON guest = whose AND uid = first_view
    WHERE viewed = 1
        {{ "AND guest % " ~ parts ~ " = " ~ part if parts > 1 else "" }}
),
placed AS (
    SELECT guest, visitor, path, under, begins,
        row_number() OVER {{ in_order }} AS place,
        lead(path, 1, '') OVER {{ in_order }} AS next_path,
        lead(under, 1, 0) OVER {{ in_order }} AS next_under
    FROM seen
),
reaching AS (
    SELECT visitor, path, under, next_path, next_under, place,
        max(CASE WHEN begins > 0 THEN place + begins ELSE 0 END) OVER so_far AS session_end
    FROM placed
    WINDOW so_far AS (PARTITION BY guest ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT visitor, path, under, next_path, next_under
FROM reaching
WHERE place + 1 < session_end AND path <> next_path AND (under = 1 OR next_under = 1)
