"""Wrappers: prefixes and envelopes around the lines of another format (Docker, Kubernetes, syslog).

`wrapper` removes one wrapper from lines; `stack` is a format inside wrappers, and its reader; `partial_lines` finds
what a chunk leaves for the next one. May use: formats.reader, engines, fields, log_format. Begin with
`stack.FormatStack`.
"""

__all__ = ["partial_lines", "stack", "wrapper"]
