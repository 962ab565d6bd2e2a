"""What a line means: a format is data (`model`, `builtin/`), read by `registry`, made ready by `reader`.

engines/     lines → the texts of their fields        fields/       texts → columns of the request schema
wrappers/    what stands around a line, taken off     detection/    which format a source has
log_format/  a server's own definition, compiled

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
