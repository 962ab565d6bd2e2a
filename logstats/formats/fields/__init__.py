"""Fields: the texts of fields, from an engine → columns of the request schema.

`columns` has the `FieldReader` that does it for a chunk; `shapes` checks the form of values; `units` settles the units
of durations; `numbers`, `times`, `spelled_times`, `requests`, `request_line`, `addresses` and `levels` read one kind of
field each; `beginnings` joins the two lines of a request.
May use: formats.model, formats.vocabulary, formats.engines (the table that engines hand over), kernels,
cache. Begin with `columns.FieldReader`.
"""

__all__ = ["beginnings", "columns", "numbers", "requests", "shapes", "times", "units"]
