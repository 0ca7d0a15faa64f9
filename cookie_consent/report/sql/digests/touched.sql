{# The digested stays that go on in a record without a digest. #}
{% from "activity.sql" import began, ended %}
CREATE OR REPLACE TEMPORARY TABLE touched AS
SELECT DISTINCT stays.guest, stays.began, stays.ended, recent, is_open FROM (
    {% for block in blocks %}
    SELECT guest, began, ended, recent, is_open FROM {{ block.database }}.stays
    WHERE ended >= (SELECT min({{ began }}) FROM records) - 1800000
    {{ "" if loop.last else "UNION ALL" }}
    {% endfor %}
) AS stays
INNER JOIN (SELECT guest, {{ began }} AS since, {{ ended }} AS until FROM records) AS activity ON stays.guest = activity.guest
WHERE since <= stays.ended + 1800000 AND until >= stays.began - 1800000
