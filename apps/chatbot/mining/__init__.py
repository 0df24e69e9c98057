"""Questions that people answered, taken out of conversations of the past by fixed rules."""
