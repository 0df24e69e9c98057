"""Simplified Chinese: long figures are grouped by thousands, as banks and dashboards there do."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
