{# The channel of a session: the way on which it came. A campaign's medium decides, then the site before.

   Mediums are those that Google Analytics and Matomo tell apart. "cpc" is paid search if the source is a search engine;
   what is none of them is a campaign. #}
{% from "well_known_hosts.sql" import search, social, mail %}
{% set country = "[.](?:com|[a-z][a-z]|(?:com|co|ne)[.][a-z][a-z])" %}
{% set mediums = {
    "mail": "e-mail|e_mail|email|mail|newsletter",
    "social": "sm|social|social[-_]?media|social[-_]?network",
    "search": "organic",
    "other site": "referral",
} %}
{% macro one_of(hosts) -%}
^[a-z][a-z0-9+.-]*://(?:www[.])?(?:
{%- for host in hosts -%}
{{ "(?:[a-z0-9-]+[.])*" if host.startswith("*.") }}
{{- host.removeprefix("*.").removesuffix(".*").replace(".", "[.]") }}
{{- country if host.endswith(".*") }}
{{- "" if loop.last else "|" }}
{%- endfor -%}
)(?:[:/]|$)
{%- endmacro %}
{% set engines = "google|googleads|google-ads|adwords|bing|msn|yahoo|duckduckgo|ecosia|qwant|yandex|baidu|naver|seznam" %}
{% macro channel(referrer, campaign) %}
CASE
    WHEN {{ matches("lower(" ~ campaign ~ ")", "^(?:" ~ engines ~ ")&(?:cpc|ppc|paid[-_+]?search)&") }} THEN 'paid search'
{% for name, pattern in mediums.items() %}
    WHEN {{ matches("lower(" ~ campaign ~ ")", "^[^&]*&(?:" ~ pattern ~ ")&") }} THEN '{{ name }}'
{% endfor %}
    WHEN {{ campaign }} <> '&&' THEN 'campaign'
    WHEN {{ referrer }} = '' THEN 'direct'
    WHEN {{ referrer }} = '(internal)' THEN 'unknown'
{% for name, hosts in {"mail": mail, "search": search, "social": social}.items() %}
    WHEN {{ matches(referrer, one_of(hosts)) }} THEN '{{ name }}'
{% endfor %}
    ELSE 'other site'
END
{%- endmacro %}
