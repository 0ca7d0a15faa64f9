{# Add the records of a closed file that are of touched stays to `fresh`, if no block has them. They are no facts of `records`. #}
{% from "activity.sql" import began, ended %}
INSERT INTO fresh BY NAME
SELECT records.* REPLACE (0 AS inside)
FROM records
INNER JOIN touched ON records.guest = touched.guest AND {{ began }} >= touched.began AND {{ ended }} <= touched.ended
WHERE NOT is_open
