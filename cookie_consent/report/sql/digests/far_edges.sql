{# The records of stays of `file` that go on elsewhere, and that its digest does not keep. #}
{% from "activity.sql" import began, ended %}
INSERT INTO {{ db }}.edges BY NAME
SELECT records.*
FROM records
INNER JOIN loose_stays AS stays
    ON records.guest = stays.guest AND {{ began }} >= stays.began AND {{ ended }} <= stays.ended
WHERE stays.file = {{ file }} AND NOT near
