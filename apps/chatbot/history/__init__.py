"""Past conversations of other systems, read into one small shape, redacted, and kept once."""
