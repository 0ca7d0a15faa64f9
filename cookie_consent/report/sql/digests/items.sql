{# What the views and events of `records` are, as goals tell them apart: the table `items`, with a number for each.

   `page` is the path of a page that was seen, NULL for other events; `sent` is the name of the event, or ''. #}
CREATE OR REPLACE TEMPORARY TABLE items AS
SELECT (row_number() OVER ())::UINTEGER AS item, page, sent
FROM (
    SELECT DISTINCT CASE WHEN viewed = 1 THEN path END AS page, event AS sent
    FROM records WHERE kind IN ('view', 'event') AND (viewed = 1 OR event <> '')
)
