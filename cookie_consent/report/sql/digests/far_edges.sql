{# The records of stays of `file` that go on elsewhere, and that its digest does not keep: as a digest would keep them, see
   file_tables.sql. #}
{% from "activity.sql" import began, ended %}
INSERT INTO edge_records BY NAME
SELECT records.* REPLACE (
        '' AS method, '' AS route, '' AS browser, '' AS os, '' AS device, NULL::VARCHAR AS properties, 1 AS inside,
        CASE WHEN kind = 'request' AND status < 400 THEN '' ELSE path END AS path
    ), loose, is_long, is_open
FROM records
INNER JOIN special
    ON records.guest = special.guest AND {{ began }} >= own_began AND {{ ended }} <= own_ended
WHERE special.file = {{ file }} AND loose AND NOT near
