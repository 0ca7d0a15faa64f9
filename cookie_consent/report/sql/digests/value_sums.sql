{# The sums of the values of a `kind`, by label. #}
SELECT label, sum(value) FROM measured INNER JOIN labelled USING (name) WHERE kind = {{ kind.number }} GROUP BY label
