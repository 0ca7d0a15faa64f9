{# The items of a session in their order, as a list: an aggregate of its records, which have `place` and `item`. #}
{% macro trail() %}
list_transform(
    list_sort(list(place::UBIGINT << 32 | item) FILTER (WHERE item IS NOT NULL)), lambda each: (each & 4294967295)::UINTEGER
)
{%- endmacro %}
