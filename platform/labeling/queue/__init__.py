"""The labelling queue: which item comes next, what people answer, and what becomes of it."""
