"""Columns from columns.

`privacy` takes what identifies a person out of the rows before anything else sees them. May use: the request schema.
"""

__all__ = ["privacy"]
