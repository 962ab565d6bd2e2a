"""Bytes in: files, folders, pipes, compression cut off anywhere, lines of any length."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.errors import UsageError
from logstats.inputs import ChunkReader, Source, Start, chunks, discover
from logstats.inputs.chunks import KEPT
from logstats.inputs.compression import PIECE, Damaged, pieces


def zstd(data: bytes) -> bytes:
    out = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


KINDS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": lambda data: bz2.compress(data, 1),  # blocks of 100 kB: a cut-off file has whole ones
    "xz": lzma.compress,
    "zstd": zstd,
}
DATA = b"".join(b"line %d of the log\n" % i for i in range(60_000))


@cache
def packed(kind: str) -> bytes:
    return KINDS[kind](DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_several_streams_are_read_whole(kind: str) -> None:
    compress = KINDS[kind]
    assert b"".join(pieces(io.BytesIO(compress(DATA[:5000]) + compress(b"") + compress(DATA[5000:])).read)) == DATA


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [8, 0.3, 0.6, -12, -8, -5, -4, -1])
def test_a_cut_off_stream_gives_what_was_there_and_says_so(kind: str, cut: float) -> None:
    whole = packed(kind)
    place = int(cut * len(whole)) if isinstance(cut, float) else cut
    got = b""
    with pytest.raises(Damaged):
        for piece in pieces(io.BytesIO(whole[:place]).read, 1 << 16):
            got += piece
    assert DATA.startswith(got)
    if cut in (-1, 0.6):
        assert got, "something was readable"


@pytest.mark.parametrize("size", [1, 7, PIECE])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_utf_16_becomes_utf_8(mark: str, codec: str, size: int) -> None:
    text = 'GET /grüße "\U0001f600"\r\n\nGET /b\n' * 3
    source = io.BytesIO((mark + text).encode(codec))
    first = [source.read(max(size, 6))]  # as much as a file gives at once
    read = b"".join(pieces(lambda _: first.pop() if first else source.read(size)))
    assert read == text.encode()


def test_what_breaks_off_in_utf_16_is_kept_as_it_is() -> None:
    whole = "GET /a\n".encode("utf-16")
    for broken, end in ((whole[:-1], b"\\x0a"), (whole[:-2] + b"\x00\xd8", b"\\x00\\xd8")):
        assert b"".join(pieces(io.BytesIO(broken).read)) == b"GET /a" + end


def test_padding_and_garbage_after_gzip() -> None:
    whole = gzip.compress(DATA)
    assert b"".join(pieces(io.BytesIO(whole + b"\0" * 5000).read)) == DATA
    with pytest.raises(Damaged, match="not gzip"):
        list(pieces(io.BytesIO(whole + b"garbage").read))


def read(path: Path, **more: int) -> list[tuple[bytes, int, int]]:
    size = path.stat().st_size
    with ChunkReader(Source(str(path), path, size), **more) as reader:
        chunks = list(reader)
    assert reader.error is None
    for chunk in chunks:
        if chunk.marks is not None:
            assert chunk.marks[0].tolist() == [place for place, byte in enumerate(chunk.data) if byte == ord("\n")]
            assert chunk == replace(chunk, marks=None)  # comparing arrays would raise
    return [(chunk.data, chunk.first_line, chunk.offset) for chunk in chunks]


@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), min_size=1, max_size=60),
    st.integers(1, 200),
    st.sampled_from([6, 40, 1 << 20]),
    st.sampled_from([1, 10, 100]),
)
def test_chunks_are_whole_lines_in_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], target: int, head: int, soon: int
) -> None:
    data = b"start of a log\n" + b"\n".join(b"x" * 80 + line for line in lines)  # else it may be binary data
    path = tmp_path_factory.mktemp("chunks") / "a.log"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logstats.inputs.chunks.HEAD", head)
        patch.setattr("logstats.inputs.chunks.SOON", soon)
        chunks = read(path, target=target)
    assert b"".join(chunk for chunk, _, _ in chunks) == data
    line, offset = 1, 0
    for chunk, first_line, start in chunks:
        assert (first_line, start) == (line, offset)
        line += chunk.count(b"\n")
        offset += len(chunk)
    assert all(chunk.endswith(b"\n") for chunk, _, _ in chunks[:-1])


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"a\n" + b"x" * 10_000_000 + b"\nb\n")
    assert sum(chunk.count(b"\n") for chunk, _, _ in read(path, target=1 << 16)) == 3


def test_a_line_beyond_the_limit_is_cut_counted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"a\n" + b"x" * 9_000_000 + b"\nb\nc\n")
    with ChunkReader(Source("a", path, 9_000_006), target=1 << 20, max_line=1 << 20) as reader:
        chunks = list(reader)
    cut = [(chunk.first_line + index, size) for chunk in chunks for index, size in chunk.cut.items()]
    assert cut == [(2, 9_000_001)]
    assert sum(len(chunk.data) for chunk in chunks) == 2 + KEPT + 1 + 4
    assert chunks[-1].first_line + chunks[-1].lines - 1 == 4


@contextmanager
def piped(**options: Any) -> Iterator[tuple[ChunkReader, io.FileIO, threading.Semaphore]]:
    """A reader of a pipe, what is written into it, and what is released for each piece that has arrived."""
    out, into = os.pipe()
    arrived = threading.Semaphore(0)
    with ChunkReader(Source("pipe", Path(f"/dev/fd/{out}")), **options) as reader, io.FileIO(into, "w") as written:
        put = reader._put

        def told(piece: bytes) -> bool:
            done = put(piece)
            arrived.release()
            return done

        reader._put = told  # type: ignore[method-assign]
        yield reader, written, arrived
    os.close(out)


def test_a_pipe_does_not_wait_for_a_full_chunk() -> None:
    """Each step waits for the one before it: no sleeping."""
    with piped() as (reader, written, _):
        chunks = iter(reader)
        written.write(b"one\ntwo\nthr")
        assert next(chunks).data == b"one\ntwo\n"
        written.write(b"ee\n")
        assert next(chunks).data == b"three\n"
        written.write(b"no newline")
        written.close()
        assert [chunk.data for chunk in chunks] == [b"no newline"]


def test_nobody_who_is_busy_is_given_small_chunks_of_a_pipe() -> None:
    idle: list[bool] = []
    with piped(target=9, idle=lambda: bool(idle)) as (reader, written, arrived):
        chunks = iter(reader)
        written.write(b"one\n")
        reader.wait(lambda: True)  # begins to read
        assert arrived.acquire(timeout=60)
        assert not reader.wait(lambda: True)  # it is there, and lies there
        written.write(b"two\nthr")
        assert next(chunks).data == b"one\ntwo\n"  # now there is enough
        assert arrived.acquire(timeout=60)
        written.write(b"ee\n")
        assert arrived.acquire(timeout=60)
        assert not reader.wait(lambda: True)
        idle.append(True)
        assert next(chunks).data == b"three\n"
        idle.clear()
        written.write(b"end\n")
        written.close()
        assert [chunk.data for chunk in chunks] == [b"end\n"]


def test_when_stopped_what_has_arrived_is_the_last_chunk() -> None:
    asked: list[bool] = []
    with piped(stop=lambda: bool(asked)) as (reader, written, arrived):
        chunks = iter(reader)
        written.write(b"one\n")
        assert next(chunks).data == b"one\n"
        assert arrived.acquire(timeout=60)
        written.write(b"two\nhalf")
        assert arrived.acquire(timeout=60)
        asked.append(True)
        assert [chunk.data for chunk in chunks] == [b"two\n"]


def test_folder_oldest_first_and_what_is_no_log(tmp_path: Path) -> None:
    for number, name in enumerate(["access.log.10.gz", "access.log.2.gz", "access.log.1", "access.log"]):
        (tmp_path / name).write_text("x\n")
        os.utime(tmp_path / name, (1000, 1000 + number // 3))
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "access.log.swp").write_text("x")
    (tmp_path / "sub").mkdir()
    sources, problems = discover([str(tmp_path)])
    assert [Path(s.name).name for s in sources] == ["access.log.10.gz", "access.log.2.gz", "access.log.1", "access.log"]
    assert not problems


def test_problems_do_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x\n")
    (tmp_path / "empty").mkdir()
    sources, problems = discover(
        ["/no/such", str(tmp_path / "*.log"), str(tmp_path / "*.txt"), str(tmp_path / "empty")]
    )
    assert [Path(s.name).name for s in sources] == ["a.log"]
    assert len(problems) == 3
    assert all(problem.hint for problem in problems)


def test_standard_input_once() -> None:
    with pytest.raises(UsageError):
        discover(["-", "-"])


@pytest.mark.parametrize(
    "head", [b"PAR1xxxx", b"\x7fELF\x02\x01", b"\x89PNG\r\n", bytes(range(32)) * 10, "grüße\n".encode("utf-32")]
)
def test_binary_files_are_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(head * 3)
    with ChunkReader(Source("a.log", path, 100)) as reader:
        assert list(reader) == []
    assert reader.error is not None
    assert reader.error.hint


def test_a_log_that_begins_with_nuls_is_read(tmp_path: Path) -> None:
    """After copytruncate a writer that does not append goes on at its old place, and the file has NULs before it."""
    path = tmp_path / "a.log"
    line = b'192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "-"\n'
    path.write_bytes(b"\0" * 100_000 + line * 3)
    with ChunkReader(Source(str(path), path)) as reader:
        data = b"".join(chunk.data for chunk in reader)
    assert reader.error is None
    assert data.endswith(line * 2)


def test_no_real_log_is_taken_for_binary(real_logs: Path) -> None:
    names = [line.split("\t")[0] for line in (real_logs / "INDEX.tsv").read_text().splitlines()[1:]]
    assert len(names) > 100
    for name in names:
        path = real_logs / name
        with ChunkReader(Source(name, path, path.stat().st_size)) as reader:
            assert list(reader), name
        assert reader.error is None, name


class Sha:
    """A digest of everything so far, as `Start` takes one."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def update(self, data: bytes | memoryview) -> None:
        self.data += bytes(data)

    def copy(self) -> Sha:
        return Sha(self.data)


@pytest.mark.parametrize("most", [1, 7, 1000, 59_999, 60_000])
@pytest.mark.parametrize("target", [1000, 100_000, 10_000_000])
def test_a_chunk_has_so_many_lines_at_the_most(
    most: int, target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "LINES", most)
    path = tmp_path / "a.log"
    data = DATA[: 12_000 if most < 1000 else None] + b"the last line"
    path.write_bytes(data)
    with ChunkReader(Source(str(path), path, len(data), start=Start(digest=Sha())), target=target) as reader:
        found = list(reader)
    assert b"".join(chunk.data for chunk in found) == data
    place, line = 0, 1
    for chunk in found:
        assert chunk.lines == chunk.data.count(b"\n") + (not chunk.data.endswith(b"\n"))
        assert 0 < chunk.lines <= most
        assert (chunk.offset, chunk.first_line) == (place, line)
        place, line = place + len(chunk.data), line + chunk.lines
        assert chunk.end == place
        assert isinstance(chunk.digest, Sha)
        assert chunk.digest.data == data[:place]
