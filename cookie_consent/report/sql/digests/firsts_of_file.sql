{# The first day on which each visitor has a record in the digest f0, by host, into `seen_in_files`. #}
INSERT INTO seen_in_files
SELECT text, number, min(day)
FROM f0.people
INNER JOIN f0.names AS names ON host = names.code
INNER JOIN f0.visitors AS visitors ON visitor = visitors.code
WHERE kind = {{ seen }}
GROUP BY ALL;
