{# How many digested stays go on in a record without a digest. #}
{% from "activity.sql" import began, ended %}
SELECT count(*) FROM (
    {% for block in blocks %}
    SELECT guest, began, ended FROM {{ block.database }}.stays
    WHERE ended >= (SELECT min({{ began }}) FROM records) - 1800000
    {{ "" if loop.last else "UNION ALL" }}
    {% endfor %}
) AS stays
INNER JOIN (SELECT guest, {{ began }} AS since, {{ ended }} AS until FROM records) AS activity USING (guest)
WHERE since <= ended + 1800000 AND until >= began - 1800000
