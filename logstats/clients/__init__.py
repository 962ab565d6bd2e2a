"""What single clients did: visits, one client's story.

`visits` makes sessions of requests, with bounded memory; `summary` adds them up; `story` is about one client; `text`
shows both. `pages` tells pages from what they are made of. May use: rows of the request schema, sketches, and how
reports are shown.
"""

__all__ = ["story", "summary", "text", "visits"]
