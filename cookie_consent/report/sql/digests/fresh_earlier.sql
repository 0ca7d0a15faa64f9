{# The visitors with a record before the range in files without a digest. #}
CREATE OR REPLACE TEMPORARY TABLE fresh_earlier AS
SELECT {{ keyed("plain", text("key")) }} AS number
FROM (
    SELECT DISTINCT coalesce(visitor, uid) AS plain
    FROM other_records
    WHERE time < {{ moment(number("since")) }} AND ({{ text("host") }} = '' OR host = {{ text("host") }})
);
