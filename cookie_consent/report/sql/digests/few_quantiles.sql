{# Quantiles of the values of a `kind` that are few enough for the memory, each for all values with a label, or
   without `labelled` for those with a name. #}
CREATE OR REPLACE TEMPORARY TABLE found_quantiles AS
SELECT {{ "label" if labelled else "name AS label" }}, unnest([{{ shares | join(", ") }}]::DOUBLE[]) AS share, unnest(quantile_cont(value, [{{ shares | join(", ") }}])) AS value
FROM measured
{% if labelled %}
INNER JOIN {{ labelled }} AS labelled USING (name)
{% endif %}
WHERE kind = {{ kind.number }}
GROUP BY label
