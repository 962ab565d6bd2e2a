"""Enrichment: columns computed from other columns.

`privacy` removes from the rows what identifies a person, before anything else reads them. May use: schema. Begin with
`privacy`.
"""

__all__ = ["privacy"]
