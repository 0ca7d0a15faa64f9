{# The quantile by which the list of a `kind` is sorted, from `found_quantiles` of each name. #}
INSERT INTO sizes SELECT {{ kind.number }}, label, value FROM found_quantiles WHERE share = {{ kind.quantiles[kind.sorted_by] }}
