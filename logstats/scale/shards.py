"""Sources → shards: what one worker reads at once.

A shard is some whole files, or a stretch of the bytes of one plain file. Stretches begin where a chunk would begin if
the file were read from its start, so that a worker sees the very chunks that one process would see. A file is one shard
if its lines depend on those before: it is compressed, it has directives (W3C), or lines that are logged in parts.
What is not a file (a pipe, standard input) is read by the process that merges, in its turn.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.errors import FormatError, SourceError
from logstats.formats.wrappers.stack import parse, spelling_of
from logstats.inputs import HEAD, SOON, ChunkReader, Source, Start, opened
from logstats.inputs.compression import compression
from logstats.pipeline import Counts, FormatChooser, Job, Silence, context_of
from logstats.scale.calls import ROUNDS

SMALLEST: Final = 4 << 20  # bytes: less is not worth the way to another process
LARGEST: Final = 256 << 20
PACKED: Final = 10  # how much larger a compressed log is in truth


@dataclass(frozen=True, slots=True)
class Shard:
    """What is read at once. `local`: by the process that merges; `goes_on`: the source of the shard before goes on."""

    sources: tuple[Source, ...]
    size: int
    local: bool = False
    goes_on: bool = False


def size_of(sources: Sequence[Source]) -> int:
    """About how many bytes of lines there are in files."""
    return sum((source.size or 0) * (PACKED if _packed(source) else 1) for source in sources)


def shards(sources: Sequence[Source], job: Job[Any], workers: int, *, largest: int = LARGEST) -> Iterator[Shard]:
    """The shards of some sources, in the order of their lines; none is much larger than `largest`, but a file that
    cannot be cut, which is then `local` so that what is made of it need not be held."""
    aim = aim_of(size_of(sources), workers, largest)
    held: list[Source] = []
    size = 0

    def together() -> Iterator[Shard]:
        nonlocal size
        if held:
            yield Shard(tuple(held), size)
        held.clear()
        size = 0

    for source in sources:
        large = size_of([source])
        if source.size is None or source.start is not None:
            yield from together()
            yield Shard((source,), 0, local=True)
            continue
        if large > 2 * aim:
            yield from together()
            yield from _stretches(source, job, aim, largest)
            continue
        held.append(source)
        size += large
        if size >= aim:
            yield from together()
    yield from together()


def _packed(source: Source) -> bool:
    if not source.size:
        return False
    if source.url is not None:  # asking for the first bytes of each of a million objects takes an hour
        return re.search(r"\.(gz|zst|bz2|xz)$", source.url) is not None
    try:
        with contextlib.closing(opened(source)) as file:
            return compression(file.read(6)) is not None
    except (OSError, SourceError):
        return False


def aim_of(size: int, workers: int, largest: int = LARGEST) -> int:
    """About how many bytes a shard has, of so many in all."""
    return min(max(size // (workers * ROUNDS), min(SMALLEST, largest)), largest)


def cut(source: Source, job: Job[Any], aim: int) -> tuple[Start | None, list[int]]:
    """Where a large file is cut into stretches, and how those after the first begin; no cuts, if it cannot be."""
    assert source.size is not None
    start = None if _packed(source) else _certain(source, job)
    return start, [] if start is None else _cuts(source, source.size, job.chunk, aim)


def _stretches(source: Source, job: Job[Any], aim: int, largest: int) -> Iterator[Shard]:
    """The shards of one large file."""
    assert source.size is not None
    size = size_of([source])
    start, cuts = cut(source, job, aim)
    if not cuts or start is None:
        yield Shard((source,), size, local=size > largest)
        return
    for begin, end in zip([0, *cuts], [*cuts, None], strict=True):
        part = replace(source, stop=end, start=replace(start, offset=begin) if begin else None)
        yield Shard((part,), (end or source.size) - begin, goes_on=begin > 0)


def _certain(source: Source, job: Job[Any]) -> Start | None:
    """How stretches of a file after the first begin, if they can be read without those before."""
    with ChunkReader(source, target=job.chunk) as chunks:
        chunk = next(iter(chunks), None)
    if chunk is None:
        return None
    throwaway = replace(job, counts=Counts())
    formats = FormatChooser(throwaway, Silence())
    reader = formats.given(source)
    if reader is None:
        reader, sure = formats.find(chunk, source.name, context_of(source), last=False)
        if reader is None or not sure:
            return None
    if reader.partial or reader.directed:
        return None
    if job.format and reader.stacks == job.format:
        return Start(certain=True)
    spelled = spelling_of(reader.stacks)
    try:
        same = tuple(parse(spelled, formats.known())) == reader.stacks
    except FormatError:
        same = False  # a format of the user's own, inside of something
    return Start(format=spelled, certain=True) if same else None


def _cuts(source: Source, size: int, chunk: int, aim: int) -> list[int]:
    """Places about `aim` bytes apart at which a chunk ends, and a line, as `ChunkReader` makes them."""
    cuts = []
    place, last = HEAD, 0
    with contextlib.closing(opened(source)) as file:
        while place + chunk < size:
            place += chunk
            place += file.at(place, SOON).find(b"\n") + 1
            if place - last < aim or size - place < aim // 2:
                continue
            if file.at(place - 1, 1) == b"\n":
                cuts.append(place)
                last = place
    return cuts
