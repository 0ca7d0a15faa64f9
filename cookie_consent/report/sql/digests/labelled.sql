{# The names of a `kind`: those of `names` with a label each, and all others with people together. #}
CREATE OR REPLACE TEMPORARY TABLE labelled AS
SELECT name, CASE WHEN name IN ({{ names | join(", ") }}) THEN name ELSE {{ names[-1] }} END AS label
FROM heads WHERE kind = {{ kind.number }}
