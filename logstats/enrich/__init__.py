"""Enrichment: columns computed from other columns.

`privacy` removes from the rows what identifies a person, before anything else reads them; `computed` adds columns that
are asked for and that no format has; `agents` knows what a user agent says, and `addresses`
which bots are genuine; `places` knows where an address is. May use: schema, cache. Begin with `computed`.
"""

__all__ = ["computed", "places", "privacy"]
