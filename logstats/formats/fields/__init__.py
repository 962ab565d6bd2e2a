"""Fields: the texts that an engine found → columns of the request schema.

`columns` has the `FieldReader` that does it for a chunk, `units` says in which units durations are; `numbers`, `times`,
`spelled_times`, `requests`, `request_line`, `addresses` and `levels` read one kind of field each. May use:
formats.model, formats.vocabulary, formats.engines (the table that engines hand over), kernels, cache.
Begin with `columns.FieldReader`.
"""

__all__ = ["columns", "numbers", "requests", "shapes", "times", "units"]
