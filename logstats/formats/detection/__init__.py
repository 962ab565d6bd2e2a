"""Detection: finds the format of a source from a sample of its lines.

`screen` rules most formats out by texts that their lines have in them, `prefilter` others by a cheap look at single
lines; `candidates` measures how well a format reads the sample; `detect` compares them; `unread` offers later lines
that no stack reads to detection again; `alike` finds lines that two formats read otherwise; `verdicts` says of each
format why it has the lines or not. May use: formats.wrappers, reader, engines, fields. Begin with `detect.Detector`.
"""

__all__ = ["alike", "candidates", "detect", "prefilter", "screen", "unread", "verdicts"]
