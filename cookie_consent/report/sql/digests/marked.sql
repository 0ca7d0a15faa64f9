{# The sessions of the range with a step of a goal or a funnel, as goal.sql and funnel.sql read them: they take the place of
   `sessions`, which has those that no block has. Visitor, referrer, campaign and first page are codes. #}
{% from "digests/of_block.sql" import in_range, untouched with context %}
{% from "marks.sql" import all_marks %}
{% macro marked(columns, sessions, items, where) %}
FROM (
    SELECT {{ columns }}, began, array_to_string(list_transform(trail, lambda item: marks[item]), '') AS trail
    FROM {{ sessions }} AS facts, (
        SELECT list(CASE WHEN marks = '' THEN '' ELSE concat(marks, ';') END ORDER BY item) AS marks
        FROM (SELECT item, {{ all_marks(marks, "page", "sent") }} AS marks FROM {{ items }})
    )
    WHERE {{ where }}
) AS marked
{% endmacro %}
CREATE OR REPLACE TEMPORARY TABLE marked_sessions (
    visitor UINTEGER, began BIGINT, trail VARCHAR, referrer UINTEGER, campaign UINTEGER, entry_path UINTEGER
);
{% for block in blocks %}
{% set codes = "(SELECT old, code FROM codes WHERE block = " ~ loop.index0 ~ ")" %}
INSERT INTO marked_sessions
SELECT {{ "visitor, began, trail, referrer, campaign, entry_path" if loop.first
    else "visitors.code, began, trail, sources.code, campaigns.code, entries.code" }}
{{ marked("visitor, referrer, campaign, entry_path", block.database ~ ".trails", block.database ~ ".items",
    in_range(block) ~ " " ~ untouched()) }}
{% if not loop.first %}
INNER JOIN visitor_codes AS visitors ON visitor = visitors.old AND visitors.block = {{ loop.index0 }}
INNER JOIN {{ codes }} AS sources ON referrer = sources.old
LEFT JOIN {{ codes }} AS campaigns ON campaign = campaigns.old
INNER JOIN {{ codes }} AS entries ON entry_path = entries.old
{% endif %}
WHERE trail <> '';
{% endfor %}
{% if has_extra %}
INSERT INTO marked_sessions
SELECT visitors.code, began, trail, sources.code, campaigns.code, entries.code
{% set names %}
visitor, {{ kinds.referrers.name }} AS referrer, {{ kinds.entry_pages.name }} AS entry_path,
CASE WHEN {{ kinds.campaigns.where }} THEN {{ kinds.campaigns.name }} END AS campaign
{% endset %}
{{ marked(names, "sessions", "items", "true") }}
INNER JOIN all_visitors AS visitors ON visitor = number
INNER JOIN all_names AS sources ON referrer = sources.text
LEFT JOIN all_names AS campaigns ON campaign = campaigns.text
INNER JOIN all_names AS entries ON entry_path = entries.text
WHERE trail <> '';
DROP TABLE sessions;
{% endif %}
ALTER TABLE marked_sessions RENAME TO sessions;
