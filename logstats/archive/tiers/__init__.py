"""Tiers: how files are moved, compacted and deleted as they age.

`policy` reads `lifecycle.toml` and plans the steps that are due; `move` moves days from tier to tier and deletes them;
`compact` merges small files. May use: archive.log, archive.ingest (its partition writer), archive.publish. Begin with
`policy.Policy`.
"""

__all__ = ["compact", "move", "policy"]
