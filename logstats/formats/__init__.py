"""Formats: what a line means. A format is data (`model`, `builtin/`), loaded by `registry` and run by `reader`.

engines/     lines → the texts of their fields        fields/       texts → columns of the request schema
wrappers/    prefixes and envelopes around lines      detection/    which format a source has
log_format/  nginx's and Apache's own definitions, compiled

May use: kernels, schema, errors, cache. Begin with `model.Format`, then `reader.Reader`.
"""

__all__ = [
    "detection",
    "engines",
    "fields",
    "log_format",
    "model",
    "reader",
    "registry",
    "text",
    "vocabulary",
    "wrappers",
]
