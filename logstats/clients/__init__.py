"""Clients: their sessions, the story of one of them, and those that look automated.

`visits` makes sessions of requests, in bounded memory; `summary` counts them; `story` is about one client; `text` shows
both. `scan` looks for signs of automation, among them the probes of `probes.toml`; `scan_text` shows them. `pages`
tells pages from their images, scripts and styles. May use: schema, sketches, reports. Begin with `visits.sessions`.
"""

__all__ = ["probes", "scan", "scan_text", "story", "summary", "text", "visits"]
