"""Search: whole lines of logs, or rows of an archive, in order of time.

`pattern` is the text or expression to find, `chunks` finds it in a chunk and keeps the lines around it, `archived`
searches the rows of an archive, and `find` orders the findings. May use: pipeline, archive. Begin with `find`.
"""

__all__ = ["archived", "chunks", "find", "pattern"]
