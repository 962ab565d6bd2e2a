"""An archive, read by somebody who knows nothing of the program: JSON, a fold in ten lines, and pyarrow."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

BEGIN = datetime(2025, 1, 17, 10, 0, tzinfo=UTC)


def line(number: int, *, second: int | None = None, status: int = 200, begin: datetime = BEGIN) -> bytes:
    """A combined line that no other number gives."""
    stamp = (begin + timedelta(seconds=number if second is None else second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return (
        f'10.0.{number // 250 % 250}.{number % 250} - - [{stamp}] "GET /item/{number}?q={number * 7} HTTP/1.1" '
        f'{status} {number} "-" "curl/8.{number % 10}"\n'
    ).encode()


def log(first: int, last: int, **more: Any) -> bytes:
    """Lines first ≤ n < last."""
    return b"".join(line(number, **more) for number in range(first, last))


def commits(root: Path) -> list[dict[str, Any]]:
    """What the commits say, in order; each has its number."""
    found = [json.loads(path.read_bytes())["value"] for path in sorted(root.glob("commits/0*.json"))]
    assert [commit["number"] for commit in found] == list(range(1, len(found) + 1))
    return found


def files(root: Path) -> dict[str, dict[str, Any]]:
    """The files of the archive, by path."""
    held: dict[str, dict[str, Any]] = {}
    for commit in commits(root):
        for path in commit["removed"]:
            del held[path]
        for file in commit["added"]:
            assert file["path"] not in held
            held[file["path"]] = file
    return held


def rows(root: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    found = []
    for path, file in files(root).items():
        if file["table"] == table:
            assert hashlib.sha256((root / path).read_bytes()).hexdigest() == file["sha256"]
            with pq.ParquetFile(root / path) as parquet:
                held = parquet.read().to_pylist()
            assert len(held) == file["rows"]
            found += held
    return found


def numbers(root: Path) -> Counter[int]:
    """How often each numbered line is there; rejected ones are told by their number in `/item/N` too."""
    held = Counter(int(row["path"].rsplit("/", 1)[1]) for row in rows(root, "logs"))
    for row in rows(root, "rejects"):
        if match := re.search(rb"/item/(\d+)", row["raw"]):
            held[int(match[1])] += 1
    return held


def once(*ranges: tuple[int, int]) -> Counter[int]:
    """Each of some lines once for each range that it is in."""
    return Counter(number for first, last in ranges for number in range(first, last))


def left_over(root: Path) -> list[str]:
    """Data files that no commit names, or that were replaced and lie where they lay; and what a writer left."""
    held = files(root)
    waiting = {f"work/replaced/{path}.old" for commit in commits(root) for path in commit["removed"]}
    found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    known = {"lifecycle.toml", "catalog.sql", "commits/checkpoint.json"}
    return [
        path
        for path in found
        if path not in held and path not in known and path not in waiting and not re.match(r"commits/\d+\.json$", path)
    ]
