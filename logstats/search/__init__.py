"""Whole lines of logs, or rows of an archive, in order of time.

`pattern` is what is looked for in a line, `chunks` finds it in a chunk and keeps the lines around it, `archived` looks
through the rows of an archive, and `find` joins them and puts what was found in order; begin there. May use: the
pipeline and what is below it, and the archive.
"""

__all__ = ["archived", "chunks", "find", "pattern"]
