"""The HTML page and mail of a report: self-contained, everything of a log escaped.

`page`, `mail` and `document` fill the templates; `series` and `charts` are what is drawn. May use: reports. Begin with
`page`.
"""

__all__ = ["charts", "document", "mail", "page"]
