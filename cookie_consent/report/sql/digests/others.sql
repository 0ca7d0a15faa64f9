{# How many people have facts of names that are not shown, in each of the `lists`: pairs of the place of a list among those
   of shown.sql, and its kind. Visitors are numbers up to `most`, so that they are counted as bits. #}
{% for list, kind in lists %}
SELECT {{ list }} AS list, coalesce(bit_count(bitstring_agg(visitor, 0::UINTEGER, {{ most }}::UINTEGER)), 0) AS people
FROM {{ "merged_people" if kind.few_are else "present" }} AS people
ANTI JOIN (SELECT name FROM shown WHERE list = {{ list }}) AS named USING (name)
WHERE kind = {{ kind.number }}
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
