{# The rows of `shown`, with their sums. #}
SELECT list, name, any_value(label), any_value(people)
    {% for n in range(most_sums) %}
    , sum(n{{ n }})::BIGINT
    {% endfor %}
FROM list_sums INNER JOIN shown USING (kind, name)
GROUP BY list, name
