{# The records of stays of `file` that go on elsewhere, and that its digest does not keep. #}
{% from "activity.sql" import began, ended %}
INSERT INTO edge_records BY NAME
SELECT records.*, loose, is_long, is_open
FROM records
INNER JOIN special
    ON records.guest = special.guest AND {{ began }} >= own_began AND {{ ended }} <= own_ended
WHERE special.file = {{ file }} AND loose AND NOT near
