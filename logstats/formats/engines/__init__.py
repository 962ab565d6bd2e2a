"""Engines: one for each syntax of lines. An engine splits a line into the texts of its fields.

`base` chooses the engine of a format. `scan` joins an engine's two paths: the reference path, which defines the right
result, and the fast path, a `program` that C runs over all lines of a chunk. `template` and `json_template` learn what
lines have in common, so that a program can read them. May use: formats.model, formats.text, kernels. Begin with
`delimited`.
"""

__all__ = ["base", "delimited", "program", "regex", "scan", "w3c"]
