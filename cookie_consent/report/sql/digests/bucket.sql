{# The bucket of a number, 0 to 1,023, on a logarithmic scale: the numbers in one differ by 3 % at most. A larger number is
   never in a smaller bucket. #}
{% macro bucket(value) %}least(1023, greatest(0, 32 * (7 + ln(greatest({{ value }}, 0) + 0.001))))::USMALLINT{% endmacro %}
