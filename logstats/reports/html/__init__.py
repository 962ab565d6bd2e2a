"""The HTML page and mail of a report: self-contained, everything of a log escaped.

`page`, `live` (the page that is served), `mail` and `document` fill the templates; `series`, `charts` and
`world_map` are what is drawn. May use: reports. Begin with `page`.
"""

__all__ = ["charts", "document", "live", "mail", "page"]
