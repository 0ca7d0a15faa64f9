{# The trails of `sessions` into the block `db`: what goals and funnels need of a session. #}
INSERT INTO {{ db }}.trails
SELECT day, hosts.code, visitors.code, began, sources.code, campaigns.code, entries.code, trail,
    {{ "guest, stay_began" if is_recent else "NULL, NULL" }}
FROM sessions
INNER JOIN {{ db }}.visitors AS visitors ON visitor = number
INNER JOIN {{ db }}.names AS hosts ON host = hosts.text
INNER JOIN {{ db }}.names AS sources ON {{ kinds.referrers.name }} = sources.text
LEFT JOIN {{ db }}.names AS campaigns ON {{ kinds.campaigns.where }} AND {{ kinds.campaigns.name }} = campaigns.text
INNER JOIN {{ db }}.names AS entries ON {{ kinds.entry_pages.name }} = entries.text
