"""Which part of a source the archive has already. A source is recognised by content, whatever its name and place.

A source's decompressed bytes are cut into blocks at fixed offsets (256 bytes, then doubling up to 8 MiB), each with its
digest. A commit records the whole blocks that it read and an *end*: the position that it reached, and the digest of the
bytes between the last whole block and that position. To recognise a source, its blocks are compared with the recorded
ones, and its bytes up to every recorded end with the digest there. Reading continues from the longest recorded end that
matches; a source whose content lies wholly within a longer record is known already. For a file with a recorded inode,
comparing the last recorded bytes is enough, so the rest is not read. If that fails, the file was cut back and may have
grown again: its last block that matches is found, and the lines after it are compared with the stored ones
(`overlap`).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, Self

from logstats.archive.ingest.replay import readable
from logstats.archive.log.commit import Advance, ArchiveError, End, Source
from logstats.dataclass import dataclass
from logstats.errors import SourceError
from logstats.inputs import Source as Input
from logstats.inputs import opened
from logstats.inputs.compression import compression

NOTHING: Final = End(0, 0, "")
FIRST_BLOCK: Final = 256
LARGEST_BLOCK: Final = 8 << 20
LAST_BYTES: Final = 64 << 10  # at the end of a file, by which a recorded inode is confirmed


def block_end(offset: int) -> int:
    """The end of the block that the byte at an offset lies in: 256, 512, 1024, … 8 Mi, 16 Mi, 24 Mi, …"""
    if offset < FIRST_BLOCK:
        return FIRST_BLOCK
    if offset < LARGEST_BLOCK:
        return 1 << offset.bit_length()
    return (offset // LARGEST_BLOCK + 1) * LARGEST_BLOCK


def block_start(offset: int) -> int:
    """The end of the last whole block at or before an offset."""
    if offset < FIRST_BLOCK:
        return 0
    if offset < LARGEST_BLOCK:
        return 1 << (offset.bit_length() - 1)
    return offset // LARGEST_BLOCK * LARGEST_BLOCK


class BlockDigest:
    """The digests of the bytes read so far: `blocks` of whole blocks, `tail` of the rest; each is 96 bits of SHA-256.

    `heads` are the digests of the bytes up to the end of each line in the first block.
    """

    def __init__(self, blocks: Iterable[str] = (), offset: int = 0) -> None:
        self.blocks = list(blocks)
        self.heads: list[str] = []
        self.offset = offset
        self._end = block_end(offset)
        self._open = hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        """Add further bytes."""
        view = memoryview(data)
        while self.offset < FIRST_BLOCK and (line := bytes(view[: FIRST_BLOCK - self.offset]).find(b"\n") + 1):
            self._add(view[:line])
            view = view[line:]
            self.heads.append(self.tail if self.offset < FIRST_BLOCK else self.blocks[0])
        self._add(view)

    def _add(self, view: memoryview) -> None:
        while len(view) >= (room := self._end - self.offset):
            self._open.update(view[:room])
            self.blocks.append(self.tail)
            self.offset, view = self._end, view[room:]
            self._end, self._open = block_end(self.offset), hashlib.sha256()
        self._open.update(view)
        self.offset += len(view)

    def copy(self) -> Self:
        """An independent copy of the current state."""
        other = object.__new__(type(self))
        other.blocks, other.heads = self.blocks.copy(), self.heads.copy()
        other.offset, other._end = self.offset, self._end
        other._open = self._open.copy()
        return other

    @property
    def tail(self) -> str:
        """The digest of the bytes after the last whole block."""
        return _digest(self._open.digest())


def _digest(sha256: bytes) -> str:
    return base64.b64encode(sha256[:12], b"-_").decode()


@dataclass(frozen=True, slots=True)
class Known:
    """What the archive has of a source: everything up to `end` of the recorded `source`; `digest` is the state there.

    Without a `source` it has nothing. If `whole`, nothing follows in the source.

    A `similar` record has the same bytes up to `alike`, the last offset at which digests could be compared, and more
    bytes after it. Digests cannot tell how many of the lines after `alike` are the same. If the source is `cut`, it is
    the file that the record was read from, so these lines are known; otherwise they are only if the source ends within
    the record.
    """

    source: Source | None = None
    end: End = NOTHING
    digest: BlockDigest | None = None
    whole: bool = False
    similar: Source | None = None
    alike: int = 0
    cut: bool = False

    @property
    def branches(self) -> bool:
        """Whether the source continues differently from the record: another log, with the same beginning."""
        return self.source is not None and self.end != self.source.end


class Records:
    """The recorded sources of one label, indexed for look-up."""

    def __init__(self, sources: Iterable[Source], label: str | None) -> None:
        self.by_id: dict[str, Source] = {}
        self._by_first: dict[str, dict[str, Source]] = {}
        self._by_head: dict[str, str] = {}
        self._by_place: dict[str, dict[str, Source]] = {}
        for source in sources:
            if source.label == label:
                self.put(source)

    def put(self, source: Source) -> None:
        """Add a source, or replace its earlier state."""
        self.by_id[source.id] = source
        for first in _firsts(source):
            self._by_first.setdefault(first, {})[source.id] = source
        self._by_head.update(dict.fromkeys(source.heads, source.id))
        for place in source.places:
            self._by_place.setdefault(place, {})[source.id] = source

    def starting(self, first_block: str) -> list[Source]:
        """The sources that begin with a block; for an empty digest, those that have an end within the first block."""
        return list(self._by_first.get(first_block, {}).values())

    def headed(self, head: str) -> Source | None:
        """A source that has these first lines."""
        return self.by_id.get(self._by_head.get(head, ""))

    def at(self, place: str) -> list[Source]:
        """The sources that were found at a place."""
        return [self.by_id[id] for id in self._by_place.get(place, {})]


def _firsts(source: Source) -> list[str]:
    early = source.ends and source.ends[0].bytes < FIRST_BLOCK
    return [*source.blocks[:1], *([""] if early else [])]


@dataclass(frozen=True, slots=True)
class Place:
    """Identifies a file without reading all of it: `device:inode`, its size and the digest of its last bytes."""

    key: str
    size: int
    last: str

    @classmethod
    def locate(cls, path: Path | None) -> Self | None:
        """The place of a regular file; None for anything else."""
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return None
                return cls(f"{status.st_dev}:{status.st_ino}", status.st_size, _last_bytes(file, status.st_size))
        except OSError:
            return None


def _last_bytes(file: IO[bytes], size: int) -> str:
    """The digest of the bytes before an offset of a file."""
    start = max(0, size - LAST_BYTES)
    file.seek(start)
    return _digest(hashlib.sha256(file.read(size - start)).digest())


def place_at(path: Path, size: int) -> tuple[int, str] | None:
    """The size and last bytes of a file when it had so many bytes; None if it cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return size, _last_bytes(file, size)
    return None


def by_content(content: Iterable[bytes], records: Records, place: str = "") -> Known:
    """Recognise a source by reading it as far as any record with the same beginning reaches.

    A record of the same `place` may continue differently: if its file was cut back and grew again.
    """
    digest = BlockDigest()
    best = Known()
    here = {source.id for source in records.at(place)}
    alive = {source.id: source for source in records.starting("")}
    shared: tuple[Source, int] | None = None  # of the same place: the record that shares most, and how many bytes
    for piece in content:
        rest = memoryview(piece)
        while rest:
            stop = min([block_end(digest.offset), *(_next_end(source, digest.offset) for source in alive.values())])
            step = rest[: stop - digest.offset]
            blocks = len(digest.blocks)
            digest.update(step)
            rest = rest[len(step) :]
            if len(digest.blocks) > blocks:
                whole = digest.blocks[blocks]
                beginning = records.starting(whole) if blocks == 0 else alive.values()
                alive = {s.id: s for s in beginning if len(s.blocks) > blocks and s.blocks[blocks] == whole}
                shared = next(((s, digest.offset) for s in alive.values() if s.id in here), shared)
            best = _better(best, digest, alive.values())
            if digest.offset >= FIRST_BLOCK and all(source.end.bytes <= digest.offset for source in alive.values()):
                return _with_similar(best, shared or _beginning(digest, records.at(place)), cut=True)
    if best.source is not None and best.end.bytes == digest.offset:
        return replace(best, whole=True)
    if digest.offset < FIRST_BLOCK:
        longer = records.headed(digest.heads[-1]) if digest.heads else None
        if longer is not None:
            return Known(longer, longer.end, whole=True)
    elif not here & alive.keys():
        longer = next((source for source in alive.values() if source.end.bytes > digest.offset), None)
        if longer is not None:
            return _with_similar(best, (longer, block_start(digest.offset)), cut=False)
    return _with_similar(best, shared or _beginning(digest, records.at(place)), cut=True)


def _beginning(digest: BlockDigest, records: Iterable[Source]) -> tuple[Source, int] | None:
    """A record with the same first line, and 0: not even the first block is shared."""
    return next(((source, 0) for source in records if {*source.heads} & {*digest.heads}), None)


def _with_similar(best: Known, shared: tuple[Source, int] | None, *, cut: bool) -> Known:
    """The best match, and the record that shares whole blocks, if it may share more lines than the match."""
    if shared is None or shared[0].end.bytes <= best.end.bytes:
        return best
    return replace(best, similar=shared[0], alike=max(shared[1], best.end.bytes), cut=cut)


def clashes(advances: Iterable[Advance], theirs: Collection[str], sources: Mapping[str, Source]) -> bool:
    """Whether sources were read without knowing that others, of the ids `theirs`, were read meanwhile, of which they
    may hold the same lines. `sources` are those of the archive now."""
    held = dict(sources)
    for advance in advances if theirs else ():
        if advance.id in theirs or (advance.parent and advance.parent in theirs):
            return True
        ours = held[advance.id] = advance.applied(held)
        if any(may_share(ours, sources[id]) for id in theirs if sources[id].label == ours.label):
            return True
    return False


def may_share(one: Source, other: Source) -> bool:
    """Whether one of two sources may have been read up to a point up to which the other has the same bytes."""
    if len(one.ends) == len(other.ends) == 1 and one.heads and other.heads and one.heads[0] != other.heads[0]:
        return False  # each was read beyond its first line, and that differs
    least = min(one.ends[0].bytes, other.ends[0].bytes)
    for number, (ours, theirs) in enumerate(zip(one.blocks, other.blocks, strict=False)):
        if ours != theirs:
            return least < _end_of(number)
    return True


def _end_of(number: int) -> int:
    """The end of a block: 256 for the first (0), 512, …"""
    doublings = (LARGEST_BLOCK // FIRST_BLOCK).bit_length() - 1
    return FIRST_BLOCK << number if number <= doublings else LARGEST_BLOCK * (number - doublings + 1)


def _next_end(source: Source, offset: int) -> int:
    return next((end.bytes for end in source.ends if end.bytes > offset), block_end(offset))


def _better(best: Known, digest: BlockDigest, alive: Iterable[Source]) -> Known:
    """The best match so far, after adding the recorded ends at this position: the longest, preferably of a record that
    does not continue."""
    for source in alive:
        for end in source.ends:
            if end.bytes == digest.offset and end.tail == digest.tail:
                known = Known(source, end, digest.copy())
                if best.end.bytes < end.bytes or best.branches:
                    best = known
    return best


def by_place(path: Path, place: Place, records: Records, *, final: bool) -> Known | None:
    """Recognise a file by its inode; None if the inode is not recorded, or belongs to another file by now.

    If `final`, a last line without its newline is read as well. It may follow the known part even in an unchanged file.
    """
    for source in sorted(records.at(place.key), key=lambda source: -source.end.bytes):
        size, last = source.places[place.key]
        with contextlib.suppress(OSError), path.open("rb") as file:
            if size > place.size or _last_bytes(file, size) != last:
                continue
            file.seek(0)
            compressed = compression(file.read(6)) is not None
            digest = None if compressed else _resumed(file, source)
            if digest is not None:
                return Known(source, source.end, digest, whole=place.size == source.end.bytes)
            if size == place.size and (not final if compressed else _is_older_copy(file, source, size)):
                return Known(source, source.end, whole=True)
    return None


def by_path(path: Path, records: Records) -> Known:
    """Recognise a file by its inode, or else by its content. Of a file that cannot be read, nothing is known."""
    place = Place.locate(path)
    known = by_place(path, place, records, final=False) if place is not None else None
    if known is not None:
        return known
    try:
        with contextlib.closing(opened(Input(str(path), path))) as file:
            return by_content(readable(file.read), records, place.key if place else "")
    except (OSError, SourceError):
        return Known()


def _resumed(file: IO[bytes], source: Source) -> BlockDigest | None:
    """The digest at a recorded source's end, if the last whole block of the plain file and the bytes after it match the
    record."""
    if not _last_block_is(file, source, source.end.bytes):
        return None
    start = block_start(source.end.bytes)
    digest = BlockDigest(source.blocks, start)
    file.seek(start)
    digest.update(file.read(source.end.bytes - start))
    return digest if digest.offset == source.end.bytes and digest.tail == source.end.tail else None


def resumed(path: Path, base: int, source: Source, stop: int | None) -> Known:
    """What is known of a stream whose bytes are kept in a file, from the byte `base` on: what its record has.

    Raises ArchiveError if these are other bytes.
    """
    start = block_start(source.end.bytes)
    digest = BlockDigest(source.blocks, start)
    with path.open("rb") as file:
        file.seek(max(0, start - base))
        digest.update(file.read(source.end.bytes - start))
    if base > start or digest.offset != source.end.bytes or digest.tail != source.end.tail:
        raise ArchiveError(f"{source.name}: what arrived was kept, but is not what the archive has of it any more")
    return Known(source, source.end, digest, whole=stop == source.end.bytes)


def is_refilled(path: Path, place: Place, read: BlockDigest) -> bool:
    """Whether a plain file was truncated and filled again, beyond what was `read` of it, while it was read: it does not
    begin with these bytes any more. A file that was replaced by another was read to its end."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        status = os.fstat(file.fileno())
        if f"{status.st_dev}:{status.st_ino}" != place.key or status.st_size < read.offset:
            return False
        head = file.read(min(read.offset, LAST_BYTES))
        if compression(head[:6]) is not None:
            return False
        digest = BlockDigest()
        digest.update(head)
        if digest.offset == read.offset:
            return (digest.blocks, digest.tail) != (read.blocks, read.tail)
        return digest.blocks != read.blocks[: len(digest.blocks)]
    return False


def _is_older_copy(file: IO[bytes], source: Source, size: int) -> bool:
    """Whether a plain file that is shorter than the record has the record's last whole block before its end."""
    return size < source.end.bytes and _last_block_is(file, source, size)


def _last_block_is(file: IO[bytes], source: Source, offset: int) -> bool:
    """Whether the last whole block before an offset matches the record, or there is none."""
    end = block_start(offset)
    if not end:
        return True
    start = block_start(end - 1)
    file.seek(start)
    return _digest(hashlib.sha256(file.read(end - start)).digest()) == source.blocks[_blocks_before(end) - 1]


def _blocks_before(offset: int) -> int:
    """The number of whole blocks before an offset: 1 at 256, 2 at 512, …, 16 at 8 Mi, 17 at 16 Mi."""
    doubled = min(offset, LARGEST_BLOCK) // FIRST_BLOCK
    return doubled.bit_length() + max(0, offset // LARGEST_BLOCK - 1)


def last_lines(content: Iterable[bytes], offset: int, *, final: bool) -> tuple[bytes, int, bool]:
    """(the lines that end after an offset and before the end of its block, the number of the first, from 1, whether
    more follows the block). A last line without its newline is included only if `final`, and if nothing follows."""
    number, position, rest, more = 1, 0, b"", False
    stop = block_end(offset) - 1  # a block that is the same to its last byte was compared by its digest
    for piece in content:
        part = piece[: stop - position]
        more = len(part) < len(piece)
        rest += part
        position += len(part)
        before = len(rest) - max(0, position - offset)  # bytes of `rest` before the offset
        if line := rest.rfind(b"\n", 0, max(0, before)) + 1:
            number += rest.count(b"\n", 0, line)
            rest = rest[line:]
        if more:
            break
    return (rest if final and not more else rest[: rest.rfind(b"\n") + 1]), number, more


def digest_after(content: Iterable[bytes], lines: int) -> BlockDigest:
    """The digest of the first so many lines."""
    digest = BlockDigest()
    for piece in content:
        found = piece.count(b"\n")
        if found < lines:
            digest.update(piece)
            lines -= found
            continue
        end = 0
        for _ in range(lines):
            end = piece.index(b"\n", end) + 1
        digest.update(piece[:end])
        break
    return digest
