{# The facts of a kind in the range: of `digests`, and of those that were scanned for this report. #}
{% macro of_kind(kind, columns) %}
SELECT {{ columns }} FROM access_digest_facts
WHERE kind = {{ kind }} AND {{ of_digests(digests | join(", ")) }} AND ({{ text("host") }} = '' OR host = {{ text("host") }})
UNION ALL
SELECT {{ columns }} FROM scanned_facts WHERE kind = {{ kind }}
{% endmacro %}
