{# The visitors with a view in the range who have a record on an earlier day, as earlier.sql. #}
CREATE OR REPLACE TEMPORARY TABLE earlier AS
SELECT visitor FROM present
WHERE kind = {{ views }} AND visitor IN (
    SELECT code FROM all_visitors WHERE number IN (
        SELECT visitor FROM firsts.firsts WHERE day < {{ since }} AND {{ of_host }}
        UNION ALL
        SELECT number FROM fresh_earlier
    )
);
