"""The expression language: which requests are meant. `--where`, the selectors of `--fail-if` and objectives use it.

`scanner` splits a text and points at the place of an error; `columns` says which columns there are and how their values
are written; `predicates` parses an expression into a tree; `compiled` makes Polars expressions of it; `patterns` are
globs and regular expressions, `times` reads times. May use: schema, errors. Begin with `predicates.parse`.
"""

__all__ = ["columns", "compiled", "patterns", "predicates", "scanner", "times"]
