{# The items of the digests f0, f1, … and of `items`, with one number for each in the block `db`. `item_codes` has these
   numbers as a list, for each file; and for -1, those of `items`. #}
{% from "digests/each.sql" import each with context %}
{% from "digests/new_codes.sql" import add_new %}
CREATE TEMPORARY TABLE file_items AS {{ each("items", "*") }} UNION ALL SELECT -1, * FROM items;
{{ add_new(db ~ ".items", "item", "page, sent", "FROM file_items") }};
CREATE TEMPORARY TABLE item_codes AS
SELECT file, list(items.item ORDER BY file_items.item) AS codes
FROM file_items
INNER JOIN {{ db }}.items AS items ON file_items.page IS NOT DISTINCT FROM items.page AND file_items.sent = items.sent
GROUP BY file;
DROP TABLE file_items;
