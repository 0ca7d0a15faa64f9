{# Join the digests f0, f1, … of files: one code for each name and each visitor, and which stays go on in another file.

   An island is what stays of a guest in several files, or on several days, are together. Most islands are one stay of one day.
   `special` has all others, and those near the end of the log:

   - `loose`: the sessions that a digest has of the stay are not those of the island.
   - `is_long`: an island so long that a report on a part of its days reads only a part of it. Its records are kept.
   - `is_open`: so near to the end of the log that the live file may go on with it. Its records are kept, too.
   - `recent`: a record of the live file may go on with it, but seldom does. #}
{% from "digests/days.sql" import day with context %}
{% from "digests/each.sql" import each, each_coded with context %}
CREATE TEMPORARY TABLE file_names AS {{ each("names", "*") }};
INSERT INTO {{ db }}.names
SELECT row_number() OVER (), text FROM (SELECT DISTINCT text FROM file_names);
CREATE TEMPORARY TABLE codes AS
SELECT file, file_names.code AS old, names.code FROM file_names INNER JOIN {{ db }}.names AS names USING (text);
CREATE TEMPORARY TABLE all_stays AS {{ each("stays", "*") }};
CREATE TEMPORARY TABLE special AS
WITH near_stays AS (
    SELECT guest, began, ended FROM all_stays
    WHERE near OR ended > {{ number("recent") }}
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
        min(began) OVER whole AS began, max(ended) OVER whole AS ended, count(*) OVER whole AS stays
    FROM numbered
    WINDOW whole AS (PARTITION BY guest, island)
)
SELECT file, guest, stay, near, own_began, own_ended, began, ended,
    stays > 1 OR {{ day("began") }} <> {{ day("ended") }} AS loose,
    loose AND ended - began > {{ margin }} AS is_long,
    ended > {{ number("open") }} AND NOT is_long AS is_open,
    ended > {{ number("recent") }} AND NOT is_long AS recent
FROM islands;
DELETE FROM special WHERE NOT (loose OR recent);
INSERT INTO {{ db }}.stays
SELECT guest, began, ended, false, false FROM all_stays
WHERE NOT EXISTS (
    FROM special WHERE special.file = all_stays.file AND special.guest = all_stays.guest AND special.stay = all_stays.stay
);
INSERT INTO {{ db }}.stays SELECT DISTINCT guest, began, ended, recent, is_open FROM special WHERE NOT is_long;
DROP TABLE all_stays;
CREATE TEMPORARY TABLE edge_records AS
SELECT edges.* EXCLUDE (file, stay), special.began AS stay_began, loose, is_long, is_open
FROM ({{ each("edges", "*") }}) AS edges
INNER JOIN special USING (file, guest, stay);
CREATE TEMPORARY TABLE host_codes AS
SELECT codes.* FROM codes INNER JOIN (SELECT DISTINCT file, host FROM ({{ each("sums", "host") }})) AS hosts
    ON codes.file = hosts.file AND codes.old = hosts.host;
INSERT INTO {{ db }}.visitors
SELECT row_number() OVER (), visitor FROM (
    SELECT DISTINCT visitor FROM ({{ each("people", "kind, visitor") }}) WHERE kind = {{ seen }}
);
CREATE TEMPORARY TABLE all_people AS
SELECT kind, host, name, code AS visitor, day
FROM ({{ each_coded("people", "visitor, day", "kind <> " ~ seen) }})
INNER JOIN {{ db }}.visitors ON visitor = number;
INSERT INTO {{ db }}.sums
SELECT kind, host, name, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM ({{ each_coded("sums", "facts.* EXCLUDE (kind, host, name)") }})
GROUP BY ALL;
