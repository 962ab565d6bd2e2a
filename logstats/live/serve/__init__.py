"""The page, the metrics and the API of `logstats serve`: one port, one process.

`view` is what a reader looks at, as the query of a URL; `desk` answers it, from the session or by `archived`;
`renderings` keeps the newest answers; `app` is what each path gives, `access` who may ask; `server` listens, and reads
the sources. Needs the extra `serve`. May use: pipeline, summaries, reports, archive. Begin with `app`.
"""

__all__ = ["app", "archived", "desk", "server", "view"]
