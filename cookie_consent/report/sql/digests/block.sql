{# Join the digests f0, f1, … of files: one code for each name and each visitor, and which stays go on in another file.

   If the block `extends` itself, it has earlier files already, and these are later ones. Its recent stays, and the records
   of its long ones, are those of the file -1.

   An island is what stays of a guest in several files, or on several days, are together. Most islands are one stay of one day.
   `special` has all others, and those near the end of the log:

   - `loose`: the sessions that a digest has of the stay are not those of the island.
   - `is_long`: an island so long that a report on a part of its days reads only a part of it. Its records are kept.
   - `is_open`: so near to the end of the log that the live file may go on with it. Its records are kept, too.
   - `recent`: a record of the live file may go on with it, but seldom does. #}
{% from "digests/days.sql" import day with context %}
{% from "activity.sql" import began, ended %}
{% from "digests/each.sql" import each, each_coded with context %}
{% from "digests/new_codes.sql" import add_new %}
CREATE TEMPORARY TABLE file_names AS {{ each("names", "*") }};
{{ add_new(db ~ ".names", "code", "text", "FROM file_names") }};
CREATE TEMPORARY TABLE codes AS
SELECT file, file_names.code AS old, names.code FROM file_names INNER JOIN {{ db }}.names AS names USING (text);
CREATE TEMPORARY TABLE all_stays AS {{ each("stays", "*") }}
{% if extends %}
UNION ALL BY NAME
SELECT -1 AS file, guest, row_number() OVER () AS stay, began, ended, is_open AS near FROM {{ db }}.stays WHERE recent
UNION ALL BY NAME
SELECT -1 AS file, guest, -row_number() OVER () AS stay, {{ began }} AS began, {{ ended }} AS ended, true AS near
FROM {{ db }}.edges WHERE is_long
{% endif %};
CREATE TEMPORARY TABLE special AS
WITH near_stays AS (
    SELECT guest, began, ended FROM all_stays
    WHERE near OR ended > {{ number("recent") }} OR file = -1
        {% for file, oldest, newest in overlaps %}
        OR file = {{ file }} AND ended >= {{ oldest }} AND began <= {{ newest }}
        {% endfor %}
),
candidates AS (
    SELECT * FROM all_stays
    WHERE EXISTS (
        SELECT 1 FROM near_stays
        WHERE near_stays.guest = all_stays.guest
            AND near_stays.began <= all_stays.ended + 1800000 AND near_stays.ended >= all_stays.began - 1800000
    )
),
pauses AS (
    SELECT *, CASE WHEN began - max(ended) OVER (
        PARTITION BY guest ORDER BY began, file, stay ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) <= 1800000 THEN 0 ELSE 1 END AS paused
    FROM candidates
),
numbered AS (
    SELECT *, sum(paused) OVER (
        PARTITION BY guest ORDER BY began, file, stay ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS island
    FROM pauses
),
islands AS (
    SELECT file, guest, stay, near, began AS own_began, ended AS own_ended,
        min(began) OVER whole AS began, max(ended) OVER whole AS ended, count(*) OVER whole AS stays,
        max(file) OVER whole AS newest_file
    FROM numbered
    WINDOW whole AS (PARTITION BY guest, island)
)
SELECT file, guest, stay, near, own_began, own_ended, began, ended,
    stays > 1 OR {{ day("began") }} <> {{ day("ended") }} AS loose,
    loose AND ended - began > {{ margin }} AS is_long,
    ended > {{ number("open") }} AND NOT is_long AS is_open,
    ended > {{ number("recent") }} AND NOT is_long AS recent
FROM islands
WHERE newest_file >= 0;
DELETE FROM special WHERE NOT (loose OR recent);
CREATE TEMPORARY TABLE edge_records AS
SELECT edges.* EXCLUDE (file, stay), loose, is_long, is_open
FROM ({{ each("edges", "*") }}) AS edges
INNER JOIN special USING (file, guest, stay);
{% if extends %}
{% include "digests/block_settled.sql" %};
{% endif %}
INSERT INTO {{ db }}.stays
SELECT guest, began, ended, false, false FROM all_stays
WHERE file >= 0 AND NOT EXISTS (
    FROM special WHERE special.file = all_stays.file AND special.guest = all_stays.guest AND special.stay = all_stays.stay
);
INSERT INTO {{ db }}.stays SELECT DISTINCT guest, began, ended, recent, is_open FROM special WHERE NOT is_long;
DROP TABLE all_stays;
CREATE TEMPORARY TABLE host_codes AS
SELECT codes.* FROM codes INNER JOIN (SELECT DISTINCT file, host FROM ({{ each("sums", "host") }})) AS hosts
    ON codes.file = hosts.file AND codes.old = hosts.host;
{{ add_new(db ~ ".visitors", "code", "number", each("visitors", "number")) }};
CREATE TEMPORARY TABLE visitor_codes AS
SELECT file, file_visitors.code AS old, visitors.code
FROM ({{ each("visitors", "*") }}) AS file_visitors INNER JOIN {{ db }}.visitors AS visitors USING (number);
CREATE TEMPORARY TABLE all_people AS
{{ each_coded("people", "visitors.code AS visitor, day", "kind <> " ~ seen, of_visitors=true) }}
{% if extends %}
UNION ALL
SELECT kind, host, name, visitor, day FROM settled WHERE visitor IS NOT NULL
{% endif %};
INSERT INTO {{ db }}.sums
SELECT kind, host, name, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM (
    {{ each_coded("sums", "facts.* EXCLUDE (kind, host, name)") }}
    {% if extends %}
    UNION ALL BY NAME
    SELECT * EXCLUDE (visitor, guest, stay_began) FROM settled
    {% endif %}
)
GROUP BY ALL;
