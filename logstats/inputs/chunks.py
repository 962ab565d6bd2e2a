"""A source → chunks of whole lines. Each source is read and decompressed in its own thread."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from logstats.dataclass import dataclass
from logstats.errors import SourceError
from logstats.inputs.compression import Damaged, compression, pieces
from logstats.inputs.memory import LEAST, Memory
from logstats.inputs.source import Digest, Opened, Source, Start
from logstats.inputs.stores import OpenObject

if TYPE_CHECKING:
    from logstats.kernels.library import Marks

TARGET: Final = 8 << 20
MAX_LINE: Final = 4 << 20  # bytes; servers accept a hundredth of it, and reading takes a dozen times it
LINES: Final = 400_000  # lines of a chunk at most; a line of a log has 100 bytes or more
KEPT: Final = 4 << 10  # of a line longer than that
_PIPE: Final = 1 << 20  # bytes that are read at once of a pipe,
HEAD: Final = 2 << 20  # of the beginning of a file, and of a compressed one
SOON: Final = 64 << 10  # behind a chunk of a file, in which the end of a line is looked for
_F_SETPIPE_SZ: Final = 1031  # Linux: a pipe that holds more takes fewer switches between its ends


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, as they came; only the last line of a source may lack its newline.

    `first_line` counts from 1, `offset` is that of data[0] in the decompressed source, `end` that of what follows.
    `cut` holds, by index in the chunk, the true length of lines too long to keep, of which `data` has only the
    beginning. `digest` is that of everything up to the end of the chunk, if the source has one. `marks` is what
    `kernels.marked_line_ends` says of the data, if it was asked.
    """

    data: bytes
    first_line: int
    offset: int
    end: int
    lines: int
    cut: Mapping[int, int] = field(default_factory=dict)
    digest: Digest | None = None
    marks: Marks | None = field(default=None, compare=False)

    def joined(self, other: Chunk) -> Chunk:
        """With what follows it in the source."""
        cut = {**self.cut, **{self.lines + line: size for line, size in other.cut.items()}}
        lines, data = self.lines + other.lines, self.data + other.data
        return Chunk(data, self.first_line, self.offset, other.end, lines, cut, other.digest)


class ChunkReader:
    """Iterates over the chunks of a source.

    A chunk of a file has about `target` bytes. A chunk of a pipe has the whole lines that have arrived, so no line
    waits for a full chunk, unless the consumer is not `idle`. After the last chunk `error` says why a source ended
    before its end, if it did. Once `stop` says so, the lines that have arrived are the last chunk, and half a line is
    left. Readers that follow each other may share the `memory` of their chunks.
    """

    def __init__(
        self,
        source: Source,
        *,
        target: int = TARGET,
        max_line: int = MAX_LINE,
        stop: Callable[[], bool] = lambda: False,
        idle: Callable[[], bool] = lambda: True,
        memory: Memory | None = None,
    ) -> None:
        self.source = source
        self._memory = memory or Memory()
        self._stop, self._idle = stop, idle
        self.total_bytes = source.size
        self.read_bytes = 0  # compressed bytes, for progress
        self.error: SourceError | None = None
        self.notes: Iterable[str] = ()  # what its reader should know, once it has ended
        self._target, self._max_line = target, max_line
        self._wanted = min(HEAD, target)  # bytes of the next chunk: the first one is what formats are detected in
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._newlines = 0  # pieces that hold a newline
        self._eager = source.size is None
        self._ended = self._closed = False
        self._changed = threading.Condition()
        self._start = source.start or Start()
        self._lines = Lines(max_line, self._start, self._memory)
        self._pump: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, other: Callable[[], bool] = lambda: False) -> bool:
        """Wait for a chunk, or the end, or until `other` holds; false if it is only that."""
        if self._pump is None:
            self._pump = threading.Thread(target=self._run, name="logstats-read", daemon=True)
            self._pump.start()
        with self._changed:
            # A timeout, because what is asked here is changed by threads and signal handlers that do not wake us.
            while not (ready := self._enough() or self._stop()) and not other():
                self._changed.wait(0.05)
        return ready

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            self.wait()
            with self._changed:
                stopped = self._stop()
                taken, ended = self._take(everything=stopped), self._ended
            yield from self._lines.feed(taken)
            taken.clear()  # their memory is free
            if stopped:
                return
            if ended and not self._pieces:
                if self._start.final:
                    yield from self._lines.finish()
                return

    @property
    def unfinished(self) -> int:
        """Bytes of a last line without its newline that was left."""
        return self._lines.unfinished

    def close(self) -> None:
        """Stop reading. Does not wait for a read that is under way."""
        with self._changed:
            self._closed = True
            self._pieces.clear()
            self._size = 0
            self._changed.notify_all()

    def _enough(self) -> bool:
        if self._ended or self._size >= self._wanted:
            return True
        return self._eager and self._newlines > 0 and self._idle()

    def _take(self, *, everything: bool = False) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._pieces and (everything or size < self._wanted):
            piece = self._pieces.popleft()
            size += len(piece)
            taken.append(piece)
        self._size -= size
        self._wanted = self._target
        self._newlines = sum(b"\n" in piece for piece in self._pieces) if self._eager else 0
        self._changed.notify_all()
        return taken

    def _run(self) -> None:
        file: Opened | None = None
        try:
            with contextlib.closing(self._start.opened or opened(self.source)) as file:
                self._eager = file.pipe
                before = self._start.offset
                first = not before
                by_line = None
                if isinstance(file, OpenFile | OpenObject) and not file.pipe:
                    by_line = file.read_lines
                next_lines = by_line and partial(by_line, self._target, self._memory)
                inside = before or self.source.record is not None
                if inside and isinstance(file, OpenFile | OpenObject) and file.seek(before):
                    before = 0
                    read = iter(next_lines or partial(file.read, _PIPE), b"")  # in the middle of a plain file
                else:
                    size = _PIPE if file.pipe else min(HEAD, self._target)
                    read = pieces(file.read, size, next_lines, by_line and by_line(size, Memory()))
                for piece in read:
                    if first:
                        _refuse_binary(piece, self.source.name)
                        first = False
                    self.read_bytes = file.read_bytes
                    if before:
                        skipped = min(before, len(piece))
                        before -= skipped
                        piece = piece[skipped:]
                    given, piece = piece, b""
                    if given and not self._put(given):
                        return
                    del given
        except SourceError as error:
            self.error = error
        except Damaged as damage:
            self.error = SourceError(
                self.source.name,
                f"{damage} (after {self.read_bytes:,} bytes)",
                "what was readable is counted; fetch the file again",
            )
        except OSError as error:
            self.error = SourceError(
                self.source.name, (error.strerror or str(error)).lower(), "check the file and its permissions"
            )
        except Exception as error:  # whatever else a decompressor does, a waiting main thread must hear of it
            self.error = SourceError(self.source.name, f"cannot be read: {error!r}")
        finally:
            self.notes = dict.fromkeys(getattr(file, "notes", ()))
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, piece: bytes) -> bool:
        """Hand over a piece, and wait until there is room for the next one, which is not read before. Returns False if
        no more is wanted."""
        with self._changed:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._eager:
                self._newlines += b"\n" in piece
            self._changed.notify_all()
            del piece
            while self._size >= self._target and not self._closed:
                self._changed.wait()
            return not self._closed


def opened(source: Source) -> OpenFile | OpenObject:
    """A source, open: a file, standard input, or an object. Raises OSError."""
    return OpenObject(source) if source.url is not None else OpenFile(source)


class OpenFile:
    """A file or standard input, read without a buffer in between: a read returns what is there."""

    def __init__(self, source: Source) -> None:
        self._own = source.path is not None
        self._fd = os.open(source.path, os.O_RDONLY) if source.path is not None else sys.stdin.fileno()
        self._file = io.FileIO(self._fd, closefd=False)
        self.read_bytes = 0
        self._left = sys.maxsize if source.stop is None else source.stop
        self._base, self._plain = source.base, source.record is not None
        self.pipe = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        if self.pipe and sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(self._fd, _F_SETPIPE_SZ, _PIPE)

    def read(self, size: int) -> bytes:
        """The available bytes, at most so many; b"" at the end."""
        data = os.read(self._fd, min(size, self._left))
        self.read_bytes += len(data)
        self._left -= len(data)
        return data

    def read_lines(self, size: int, memory: Memory) -> bytes:
        """At least `size` bytes, or all that are left; to the end of a line if one is near, which saves a copy."""
        place = os.lseek(self._fd, 0, os.SEEK_CUR)
        size += os.pread(self._fd, SOON, place + size).find(b"\n") + 1
        there = min(size, self._left, os.fstat(self._fd).st_size - place)
        if there < LEAST:
            return self.read(size)
        data = memory.take(there)
        with memoryview(data) as view:
            read = self._file.readinto(view)
        del data[read:]
        self.read_bytes += read
        self._left -= read
        return data

    def at(self, offset: int, size: int) -> bytes:
        """Some bytes of a file."""
        return os.pread(self._fd, size, offset)

    def seek(self, offset: int) -> bool:
        """Move to an offset if the file is plain; whether it did. Call this before reading."""
        if not self._plain and (self.pipe or compression(os.pread(self._fd, 6, 0))):
            return False
        self.read_bytes = os.lseek(self._fd, offset - self._base, os.SEEK_SET)
        self._left -= offset
        return True

    def close(self) -> None:
        """Close it, unless it is standard input."""
        if self._own:
            os.close(self._fd)


class Lines:
    """Cuts bytes into chunks that end with a line, and keeps the count."""

    def __init__(self, max_line: int, start: Start, memory: Memory | None = None) -> None:
        self._max_line, self._memory = max_line, memory or Memory()
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._skipped = 0  # bytes dropped of the line that `_rest` begins
        self._line, self._offset = start.line, start.offset
        self._digest = start.digest.copy() if start.digest else None

    @property
    def unfinished(self) -> int:
        """Bytes of the line that has begun."""
        return self._rest_size + self._skipped

    def feed(self, pieces: Sequence[bytes]) -> Iterator[Chunk]:
        """The whole lines that are there now. Bytes are copied once, into their chunk; a piece that is one is not."""
        last, end = len(pieces), 0
        while last and not end:
            last -= 1
            end = pieces[last].rfind(b"\n") + 1
        if not end:
            for piece in pieces:
                self._keep(piece)
            return
        ended: list[bytes | memoryview] = [*pieces[: last + 1]]
        if end < len(pieces[last]):
            ended[last] = memoryview(pieces[last])[:end]
        if self._skipped:
            for part in ended:
                digest = self._digested(part)
            from logstats.kernels import library as kernels  # NumPy, which those who only name sources do without

            first, whole = b"".join(self._rest), b"".join(ended)
            ending = whole.index(b"\n")
            cut = {0: len(first) + self._skipped + ending + 1}
            self._rest, self._rest_size, self._skipped = [], 0, 0
            line = first + whole[ending:]
            yield self._chunk(line, kernels.count_lines(line), cut, digest)
        else:
            whole, digested = self._memory.joined([*self._rest, *ended]), self._rest_size
            self._rest, self._rest_size = [], 0
            for start, stop, lines, marks in _parts(whole):
                digest = self._digested(memoryview(whole)[max(start, digested) : stop])
                part = whole if stop - start == len(whole) else whole[start:stop]
                yield self._chunk(part, lines, {}, digest, marks)
        for piece in (pieces[last][end:], *pieces[last + 1 :]):
            self._keep(piece)

    def finish(self) -> Iterator[Chunk]:
        """The last line, if it lacks its newline."""
        if self._rest:
            rest = b"".join(self._rest)
            yield self._chunk(rest, 1, {0: len(rest) + self._skipped} if self._skipped else {}, self._digested(b""))
            self._rest, self._rest_size, self._skipped = [], 0, 0

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._digested(data)
        self._rest.append(data)
        self._rest_size += len(data)
        if self._rest_size > self._max_line:
            kept = b"".join(self._rest)[:KEPT]
            self._skipped += self._rest_size - len(kept)
            self._rest, self._rest_size = [kept], len(kept)

    def _digested(self, data: bytes | memoryview) -> Digest | None:
        """The digest up to the end of what comes next."""
        if self._digest is None:
            return None
        self._digest.update(data)
        return self._digest.copy()

    def _chunk(
        self, data: bytes, lines: int, cut: dict[int, int], digest: Digest | None, marks: Marks | None = None
    ) -> Chunk:
        kept = data.index(b"\n") + 1 if cut and b"\n" in data else len(data) if cut else 0
        end = self._offset + len(data) + (cut[0] - kept if cut else 0)
        chunk = Chunk(data, self._line, self._offset, end, lines, cut, digest, marks)
        self._line += lines
        self._offset = end
        return chunk


def _parts(whole: bytes) -> Iterator[tuple[int, int, int, Marks | None]]:
    """Where to cut whole lines into chunks of so many at the most, how many each has, and the marks of an only one:
    what a line costs does not depend on its length."""
    from logstats.kernels import library as kernels

    marks = kernels.marked_line_ends(whole)
    only: Marks | None = marks
    start, lines = 0, len(marks[0])
    if lines > LINES:
        only = None
        for stop in (marks[0][LINES - 1 :: LINES] + 1).tolist():
            yield start, stop, LINES, None
            start, lines = stop, lines - LINES
    if start < len(whole):
        yield start, len(whole), lines, only


_MAGIC: Final = {
    b"PAR1": "a Parquet file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x7fELF": "a program",
    b"PK\x03\x04": "a zip archive (unpack it first)",
    b"%PDF": "a PDF document",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive (unpack it first)",
    b"Rar!": "a RAR archive (unpack it first)",
    b"\xff\xfe\0\0": "text in UTF-32 (convert it: iconv -f UTF-32 -t UTF-8)",
}
_JUDGED: Final = 8 << 10  # bytes
_HOLE: Final = re.compile(rb"^\0+|\0{16,}")
_TEXT: Final = bytes(set(range(0x20, 0x7F)) | set(range(0x80, 0x100)) | set(b"\t\n\v\f\r\x1b"))


def _refuse_binary(piece: bytes, name: str) -> None:
    """A log may hold stray bytes of any kind; what is mostly control characters is not one."""
    # What a writer that went on after copytruncate left out are NULs: a log may begin with millions of them, or have
    # them further on if it was appended to another.
    first = piece[: 2 * _JUDGED]
    head = _HOLE.sub(b"", first)[:_JUDGED]
    if len(head) < _JUDGED < len(first):
        head = _HOLE.sub(b"", piece)[:_JUDGED]
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise SourceError(name, f"not a log but {what}", "name the log files themselves")
    if head[257:262] == b"ustar":
        raise SourceError(name, "not a log but a tar archive", "unpack it first, or: tar xOf FILE | logstats report")
    control = len(head.translate(None, _TEXT))
    if control > len(head) * 0.3:
        raise SourceError(name, "not a log but binary data", "name the log files themselves")
