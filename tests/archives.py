"""Archives for tests: made by `add` and `tier`, as anybody's."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from numbered import line

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.log import tables
from logstats.archive.log.commit import Commit, DataFile
from logstats.archive.log.orphans import sweep
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.writer import Workspace
from logstats.archive.query import rows
from logstats.archive.tiers import move as tiers_move
from logstats.archive.tiers.policy import Step, parse
from logstats.errors import LogstatsError

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_logs"
POLICY = """
[warm]
after = "30d"
[cold]
after = "31d"
columns = ["kind", "timestamp", "method", "path", "endpoint", "status", "duration_ms", "bytes", "user_id", "client_ip",
           "host", "level", "app_name"]
"""
MOVED = datetime(2025, 2, 18, tzinfo=UTC)  # then 17 January is cold, the 18th warm, the 19th still hot


class Loud:
    """A listener that takes no failure, and remembers what was done."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def finished(self, step: Step, made: tuple[DataFile, ...]) -> None:
        self.steps.append(step)

    def failed(self, step: Step, error: LogstatsError) -> None:
        raise error


def day_of(sample: str, day: int, folder: Path) -> Path:
    """A sample of 17 January, on another day of it."""
    text = (SAMPLES / sample).read_bytes()
    path = folder / f"{day}-{sample}"
    path.write_bytes(text.replace(b"17/Jan", f"{day}/Jan".encode()).replace(b"2025-01-17", f"2025-01-{day}".encode()))
    return path


def logs_of_three_days(folder: Path) -> list[Path]:
    """900 lines a log: with the request time; JSON, and one of virtual hosts, of one day; application lines."""
    samples = [("combined_time.log", 17), ("json.log", 18), ("vhost_combined.log", 18), ("kv.log", 19)]
    return [day_of(sample, day, folder) for sample, day in samples]


def move(archive: Archive, now: datetime = MOVED, policy: str = POLICY) -> list[Step]:
    """What `archive tier` does."""
    listener = Loud()
    tiers_move.apply(archive, parse(policy), now, listener)
    return listener.steps


def build(folder: str | Path, sources: list[Path]) -> Archive:
    """An archive of some logs, each added on its own."""
    archive = init(folder)
    for source in sources:
        added = api.add([source], folder)
        assert not any(outcome.problem for outcome in added.outcomes)
    return archive


def make(folder: str | Path, sources: list[Path]) -> Archive:
    """The same in a folder, as a copy of an archive of these logs that was made before: its sources have the names of
    then."""
    assert "://" not in str(folder)
    key = "".join(f"{source.name} {hashlib.sha256(source.read_bytes()).hexdigest()} " for source in sources)
    template = Path(_templates.name) / hashlib.sha256(key.encode()).hexdigest()
    if not template.exists():
        with tempfile.TemporaryDirectory(dir=_templates.name) as made:
            build(made, sources)
            shutil.copytree(made, template)
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return Archive.open(folder)


def replace(archive: Archive, file: DataFile, parts: Sequence[pl.DataFrame]) -> list[str]:
    """Replace a file of a rollup by others with these rows; their paths."""
    with Workspace(archive) as workspace:
        made = []
        for part in parts:
            writer = Writer(workspace, file.table, file.partition)
            writer.write(part)
            made.append(writer.close())
        workspace.keep(made)
        archive.commit(lambda _: Commit(what="test", added=tuple(made), removed=(file.path,)), workspace.folder)
    return [one.path for one in made]


def saying(archive: Archive, folder: Path, table: str, kind: type, text: str) -> tuple[Archive, str]:
    """A copy of an archive, in which the first file of a rollup says this of its rows, instead of what a `kind` says;
    and its path."""
    shutil.copytree(archive.root, folder)
    copy = Archive.open(folder)
    file = copy.snapshot().select(table)[0]
    whole = rows.read(copy, [file], list(tables.columns(table)), table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "text", lambda _: text)
        (path,) = replace(copy, file, [whole])
    return copy, path


def grown(folder: Path, root: Path) -> None:
    """Some adds to a file that grows, the last of which makes hours close, and all that follows from it."""
    every = [line(number, second=number * 37) for number in range(101)]
    for end in (20, 40, 100):
        (folder / "access.log").write_bytes(b"".join(every[:end]) + every[end][:40])
        api.add(folder / "access.log", root)
    archive = Archive.open(root)
    with Workspace(archive) as workspace:
        archive.write_checkpoint(archive.snapshot(), workspace.folder)
    sweep(archive, datetime.now(UTC) + timedelta(days=2))


_templates = tempfile.TemporaryDirectory(prefix="logstats-archives-")  # until the tests end


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
