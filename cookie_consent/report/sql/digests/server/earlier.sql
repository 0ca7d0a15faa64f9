{# The visitors with a view in the range who have a record on an earlier day, as earlier.sql. `before` are the digests of
   days before the range; `scanned_visitors` has who came on others. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
CREATE TEMPORARY TABLE earlier AS
SELECT visitor
FROM (SELECT DISTINCT {{ each("visitors") }} AS visitor FROM ({{ of_kind(numbers.views, "visitors") }}) AS facts) AS people
WHERE visitor IN (
    SELECT number FROM scanned_visitors
    {% if before %}
    UNION ALL
    SELECT {{ each("visitors") }} FROM access_digest_facts
    WHERE kind = {{ numbers.seen }} AND {{ of_digests(before | join(", ")) }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% endif %}
)
