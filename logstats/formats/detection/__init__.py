"""Detection: how a source is written, found from a sample of its lines.

`prefilter` is a cheap look that rules formats out; `candidates` has the formats that read the sample, and how well;
`detect` weighs them;
`unread` is for lines further on that the stacks in force do not read.
May use: formats.wrappers, reader, engines, fields. Begin with `detect.Detector`.
"""

__all__ = ["candidates", "detect", "prefilter", "unread"]
