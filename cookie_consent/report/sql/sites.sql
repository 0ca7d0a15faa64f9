{# The host of a site, without "www.". #}
{% macro site_of_host(host) %}
CASE WHEN substring({{ host }}, 1, 4) = 'www.' THEN substring({{ host }}, 5) ELSE {{ host }} END
{%- endmacro %}
{% macro site_of_address(address) %}
{{ matched(address, "^[a-z][a-z0-9+.-]*://(?:www[.])?([^/:]*)") }}
{%- endmacro %}
