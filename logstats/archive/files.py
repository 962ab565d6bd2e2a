"""The live files of an archive, for programs that read Parquet by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.publish import catalog
from logstats.errors import UsageError


def select(
    snapshot: Snapshot,
    table: str | None = None,
    tier: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Snapshot:
    """The snapshot, reduced to the files of one table or tier that may hold rows of since ≤ t < until.

    Raises UsageError for an unknown table or tier.
    """
    for option, name, known in (("--table", table, tables.TABLES), ("--tier", tier, tables.TIERS)):
        if name is not None and name not in known:
            raise UsageError(f"{option}: there is no {name!r}", f"there are {', '.join(known)}")
    if tier is not None and table not in (None, tables.LOGS):
        raise UsageError(f"--tier: {table} has no tiers", "only logs do")
    wanted = (table,) if table else (tables.LOGS,) if tier else tables.TABLES
    chosen = [file for one in wanted for file in snapshot.select(one, tier=tier, since=since, until=until)]
    return replace(snapshot, files={file.path: file for file in chosen})


def _paths(archive: Archive, chosen: Snapshot, table: str | None) -> Iterator[str]:
    for file in chosen.files:
        yield archive.storage.uri(file)


def _json(archive: Archive, chosen: Snapshot, table: str | None) -> Iterator[str]:
    """What the commits record of each file, with its absolute path."""
    files = [{**file.to_json(), "path": archive.storage.uri(file.path)} for file in chosen.files.values()]
    yield json.dumps({"archive": archive.name, "commit": chosen.number, "files": files})


def _sql(archive: Archive, chosen: Snapshot, table: str | None) -> Iterator[str]:
    """Views over the files, for DuckDB 1.5 or later. Of all tables, together with the macros of catalog.sql."""
    yield f"-- {catalog.comment(archive.name)}, after commit {chosen.number}"
    yield "SET TimeZone = 'UTC';"
    held = {file.table for file in chosen.files.values()}
    if table is None:
        yield catalog.macros()
    of = (table,) if table else (*catalog.VIEWS, *({tables.REJECTS} & held))
    yield from catalog.views(archive.storage.uri, chosen, of, portable=True)


RENDERERS: Final[dict[str, Callable[[Archive, Snapshot, str | None], Iterator[str]]]] = {
    "paths": _paths,
    "json": _json,
    "sql": _sql,
}
