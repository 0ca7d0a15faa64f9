{# The people of `facts` of sessions, with those of records. #}
INSERT INTO all_people
SELECT kind, hosts.code, names.code, visitors.code, day
FROM facts
INNER JOIN {{ db }}.names AS names ON facts.name = names.text
INNER JOIN {{ db }}.names AS hosts ON facts.host = hosts.text
INNER JOIN {{ db }}.visitors AS visitors ON facts.visitor = visitors.number
WHERE kind IN ({{ kinds | join(", ") }})
