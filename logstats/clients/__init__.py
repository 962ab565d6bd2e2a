"""What single clients did: visits, one client's story, and who looks automated.

`visits` makes sessions of requests, with bounded memory; `summary` adds them up; `story` is about one client; `text`
shows both. `scan` looks for signs that a client is no person, among them the probes of `probes.toml`; `scan_text` shows
them. `pages` tells pages from what they are made of. May use: rows of the request schema, sketches, and how reports
are shown.
"""

__all__ = ["probes", "scan", "scan_text", "story", "summary", "text", "visits"]
