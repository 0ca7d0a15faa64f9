{# What the block `db` keeps of its recent sessions, when later files are added to it.

   - `settled`: the facts of those that no record of the live file goes on with any more. They will be facts as all others.
   - `kept_recent`: the facts of those that are recent still.

   Those that go on in one of the files are computed anew, from `edge_records`. #}
{% from "activity.sql" import began, ended %}
INSERT INTO edge_records BY NAME
SELECT edges.* EXCLUDE (is_long), loose, special.is_long, is_open
FROM {{ db }}.edges AS edges
INNER JOIN special ON file = -1 AND special.guest = edges.guest AND {{ began }} >= own_began AND {{ ended }} <= own_ended
WHERE NOT edges.is_long;
DELETE FROM {{ db }}.stays AS stays USING special
WHERE file = -1 AND special.guest = stays.guest AND own_began = stays.began AND own_ended = stays.ended;
{% for table in ("recent", "recent_measured", "trails") %}
DELETE FROM {{ db }}.{{ table }} AS facts USING special
WHERE file = -1 AND special.guest = facts.guest AND own_began = facts.stay_began;
{% endfor %}
UPDATE {{ db }}.stays
SET recent = ended > {{ number("recent") }}, is_open = ended > {{ number("open") }}
WHERE recent;
DELETE FROM {{ db }}.edges AS edges WHERE NOT is_long AND NOT EXISTS (
    FROM {{ db }}.stays AS stays
    WHERE is_open AND stays.guest = edges.guest AND {{ began }} >= stays.began AND {{ ended }} <= stays.ended
);
CREATE TEMPORARY TABLE recent_stays AS SELECT guest, began AS stay_began FROM {{ db }}.stays WHERE recent;
CREATE TEMPORARY TABLE settled AS
SELECT * EXCLUDE (all_days, host_days) FROM {{ db }}.recent ANTI JOIN recent_stays USING (guest, stay_began);
CREATE TEMPORARY TABLE kept_recent AS
SELECT * EXCLUDE (all_days, host_days) FROM {{ db }}.recent SEMI JOIN recent_stays USING (guest, stay_began);
DROP TABLE {{ db }}.recent;
INSERT INTO {{ db }}.measured
SELECT * EXCLUDE (guest, stay_began) FROM {{ db }}.recent_measured ANTI JOIN recent_stays USING (guest, stay_began);
DELETE FROM {{ db }}.recent_measured AS facts
WHERE NOT EXISTS (FROM recent_stays AS stays WHERE stays.guest = facts.guest AND stays.stay_began = facts.stay_began);
UPDATE {{ db }}.trails AS facts SET guest = NULL, stay_began = NULL
WHERE guest IS NOT NULL AND NOT EXISTS (
    FROM recent_stays AS stays WHERE stays.guest = facts.guest AND stays.stay_began = facts.stay_began
);
DROP TABLE recent_stays
