"""Tiers: what becomes of files as they age.

`policy` is `lifecycle.toml` and what it makes due; `move` takes days from tier to tier, and away; `compact` puts small
files together. May use: archive.log, archive.ingest (its partition writer), archive.publish.
Begin with `policy.Policy`.
"""

__all__ = ["compact", "move", "policy"]
