"""Wrappers: what stands around the lines of another format (Docker, Kubernetes, syslog), and formats inside them.

`wrapper` takes one wrapper off; `stack` is a format inside wrappers, and what reads a source written so;
`partial_lines` is what a chunk leaves for the next. May use: formats.reader, engines, fields, log_format.
Begin with `stack.FormatStack`.
"""

__all__ = ["partial_lines", "stack", "wrapper"]
