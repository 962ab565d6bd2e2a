"""Detection: finds the format of a source from a sample of its lines.

`prefilter` rules formats out by a cheap look; `candidates` measures how well a format reads the sample; `detect`
compares them; `unread` offers later lines that no stack reads to detection again; `verdicts` says of each format why it
has the lines or not. May use: formats.wrappers, reader,
engines, fields. Begin with `detect.Detector`.
"""

__all__ = ["candidates", "detect", "prefilter", "unread", "verdicts"]
