"""One large plain file, added by several workers: stretches of its lines, each of which goes on from the one before.

What the archive records of a source is a chain: digests of its blocks, and the number of the line. The process that
commits reads the file ahead of the workers to know both at the beginning of each stretch, which takes a fraction of
what parsing takes. A worker then takes up the file as after an `add` that ended there. Its commits are made in the
order of the stretches, if they begin and end where they should, in the format that the file began with. If one does
not, because the file was changed meanwhile, or has a further format in its middle, or another `add` was faster, it and
those after it are dropped, and one worker adds what is left of the file as if it had never been split.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from logstats.archive.archive import Archive
from logstats.archive.ingest.known_sources import BlockDigest, Place, Records, by_path, place_at
from logstats.archive.ingest.progress import Outcome
from logstats.archive.log import paths
from logstats.archive.log.commit import Advance, Commit, Counts, End
from logstats.archive.staging import Staged, Staging
from logstats.dataclass import dataclass
from logstats.formats.wrappers.stack import spelling_of
from logstats.inputs import Source, Start
from logstats.kernels import library as kernels
from logstats.pipeline import Job
from logstats.scale import shards

_AT_ONCE = 8 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Before:
    """What the archive has of a file when the stretches before are committed: the record `id`, digests of all blocks,
    the end, and how it is written, if that is known."""

    id: str
    label: str | None
    format: str | None
    blocks: tuple[str, ...]
    end: End

    def assume(self, archive: Staging, source: Source) -> None:
        """Let a worker go on from there, if the file is there, and as it was."""
        place = Place.locate(source.path)
        known = place_at(source.path, self.end.bytes) if place is not None and source.path is not None else None
        if place is None or known is None:
            return
        places = {place.key: known}
        start = (0, 0, 0)
        advance = Advance(
            self.id, source.name, self.label, self.format, None, start, self.blocks, self.end, Counts(), (), places
        )
        archive.assume(Commit(what="add", sources=(advance,)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some lines of a file, up to `end` or, if that is None, to where it ends."""

    chain: Chain
    source: Source
    before: Before
    end: End | None
    blocks: tuple[str, ...]  # those that end within

    def fits(self, staged: Staged) -> bool:
        """Whether what a worker made of it goes on from the stretches before, and to where the next one begins."""
        advances = [advance for commit in staged.commits for advance in commit.sources]
        at = (len(self.before.blocks), self.before.end.bytes, self.before.end.lines)
        blocks: tuple[str, ...] = ()
        for advance in advances:
            if (advance.id, advance.start, advance.format) != (self.before.id, at, self.chain.format):
                return False
            blocks += advance.blocks
            at = (at[0] + len(advance.blocks), advance.end.bytes, advance.end.lines)
        return bool(advances) and (self.end is None or (advances[-1].end, blocks) == (self.end, self.blocks))


class Chain:
    """A file that is split. `since` is the commit after which it was compared with what the archive has, `numbers` are
    those of its own commits, `broken` says that one worker adds the rest, and `outcome` is that of all stretches."""

    def __init__(self, source: Source, format: str, since: int) -> None:
        self.source, self.format, self.since = source, format, since
        self.numbers: list[int] = []
        self.broken = False
        self.outcome: Outcome | None = None

    def add(self, more: Outcome) -> Outcome | None:
        """Add the outcome of the next stretch; the whole one, if this is the first."""
        whole = self.outcome
        if whole is None:
            self.outcome = more
            return more
        whole.counts += more.counts
        whole.left, whole.problem = more.left, more.problem
        whole.format, whole.spelling = more.format, more.spelling
        whole.record, whole.tail = more.record, more.tail
        return None


def stretches(archive: Archive, source: Source, label: str | None, job: Job[Any], aim: int) -> Iterator[Stretch] | None:
    """The stretches of a file, about `aim` bytes each; None for one that is not split: it is small or compressed, its
    lines depend on those before, or what the archive has of it has to be compared line by line."""
    if source.path is None or (source.size or 0) <= 2 * aim:
        return None
    start, cuts = shards.cut(source, job, aim)
    if start is None or (job.format and start.format):
        return None
    spelled = start.format or spelling_of(job.format or ())
    snapshot = archive.snapshot()
    known = by_path(source.path, Records(snapshot.sources.values(), label))
    cuts = [place for place in cuts if place - known.end.bytes >= aim // 2]
    fresh = known.source is None
    if not cuts or known.similar is not None or known.whole:
        return None
    if known.source is not None and (known.branches or known.digest is None or known.source.format != spelled):
        return None
    id = f"{paths.writer_id()}-0" if known.source is None else known.source.id
    digest = known.digest if isinstance(known.digest, BlockDigest) else BlockDigest()
    end = End(0, 0, digest.tail) if fresh else known.end
    before = Before(id, label, None if fresh else spelled, tuple(digest.blocks), end)
    return _each(Chain(source, spelled, snapshot.number), before, digest, cuts)


def _each(chain: Chain, before: Before, digest: BlockDigest, cuts: Sequence[int]) -> Iterator[Stretch]:
    """Read ahead of the workers."""
    path, lines = chain.source.path, before.end.lines
    assert path is not None
    with contextlib.suppress(OSError), path.open("rb") as file:  # (the worker of the last stretch reports the error)
        file.seek(before.end.bytes)
        for place in cuts:
            while digest.offset < place and (data := file.read(min(_AT_ONCE, place - digest.offset))):
                digest.update(data)
                lines += kernels.count_lines(data)
            if digest.offset < place or chain.broken:
                break  # it was cut back: what follows fits nothing
            end, blocks = End(place, lines, digest.tail), tuple(digest.blocks)
            yield Stretch(chain, _part(chain.source, before, place), before, end, blocks[len(before.blocks) :])
            before = replace(before, format=chain.format, blocks=blocks, end=end)
    if not chain.broken:
        yield Stretch(chain, _part(chain.source, before, None), before, None, ())


def _part(source: Source, before: Before, stop: int | None) -> Source:
    begin = before.end.bytes
    return replace(source, stop=stop, start=Start(offset=begin) if begin else None)
