"""A rate limit, rehearsed: who would have been refused, when, and for how long.

`limit` reads what is asked for; `algorithms` decides, request by request; `replay` puts the requests of a log in order
by key and time and adds up what becomes of them; `fit` finds the smallest limit; `text` and `picture` show the result.
May use: rows of the request schema, expressions, how reports are shown. Begin with `replay.replay`.
"""

__all__ = ["limit", "picture", "replay", "text"]
