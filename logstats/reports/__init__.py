"""A report: built from summaries (`build`), a value (`model`), rendered by one file per kind of output.

`renderers` is their registry: terminal (on a `canvas`), tables (CSV, Parquet), markdown, html/, openmetrics. `load`
reads saved reports; `document`, `printable`, `units` and `reasons` are the wording. May use: summaries, sketches,
pipeline's counts. Begin with `model.Report`.
"""

__all__ = [
    "archived",
    "build",
    "clock",
    "document",
    "found",
    "html",
    "index",
    "load",
    "measured",
    "merged",
    "model",
    "openmetrics",
    "printable",
    "ranked",
    "reasons",
    "renderers",
    "results",
    "rows",
    "schema",
    "small",
    "units",
    "view",
]
