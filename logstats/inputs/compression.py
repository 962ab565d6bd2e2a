"""Decompression: pieces of a stream, compressed or not → pieces of its plain bytes. The kind is recognised by content.

UTF-16, in which PowerShell writes what is redirected to a file, is taken for a compression of UTF-8.

If a stream ends too early, its reader raises an error after the bytes that could be read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

PIECE: Final = 1 << 20

_BLOCK: Final = 128 << 10  # of zstd, so that the bytes before the end of a truncated file are not lost

_MAGICS: Final = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00", b"\xff\xfe", b"\xfe\xff")
# A mark and something that is no NUL (else it is UTF-32), or three characters of ASCII.
_UTF_16: Final = re.compile(
    rb"(?P<little>\xff\xfe(?!\0\0)|(?:[\t\n\r -~]\0){3})|\xfe\xff|(?:\0[\t\n\r -~]){3}", re.DOTALL
)

Read = Callable[[int], bytes]  # up to so many bytes; b"" at the end


class Damaged(Exception):
    """A compressed stream is cut off or corrupt."""


def pieces(
    read: Read, size: int = PIECE, read_plain: Callable[[], bytes] | None = None, head: bytes | None = None
) -> Iterator[bytes]:
    """Plain bytes of a stream, decompressed if its first bytes say that it is compressed. Raises Damaged.

    Plain content is read with `read_plain`, if it is given. The `head` is what was read of it before.
    """
    head = read(size) if head is None else head
    # A pipe may give a byte at a time; bytes that cannot begin a compressed stream are passed on at once.
    while len(head) < 6 and any(magic.startswith(head[: len(magic)]) for magic in _MAGICS) and (more := read(size)):
        head += more
    kind = compression(head)
    if kind is None:
        yield head
        while piece := read_plain() if read_plain else read(size):
            yield piece
            piece = b""  # its memory is free while the next one is read
    else:
        yield from _decompress(kind, bytes(head), read, size)


def compression(head: bytes) -> str | None:
    """The kind of compression that the first bytes announce."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    if head.startswith(b"BZh") and head[4:6] in (b"1A", b"\x17r"):  # a block, or the end of an empty stream
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if match := _UTF_16.match(head):
        return "utf-16-le" if match["little"] else "utf-16-be"
    return None


def _decompress(kind: str, head: bytes, read: Read, size: int) -> Iterator[bytes]:
    if kind == "zstd":
        yield from _zstd(head, read)
        return
    if kind.startswith("utf"):
        yield from _utf_16(kind, head, read, size)
        return
    make, failures = _decompressor(kind)
    stream = make()
    data = head
    while True:
        try:
            plain = stream.decompress(data, size)
        except failures as error:
            raise Damaged(f"damaged {kind} data: {error}") from None
        if plain:
            yield plain
        if stream.eof:
            data = stream.unused_data or read(size)
            data = _after_padding(data, read, size)
            if not data:
                return
            while len(data) < 6 and (more := read(size)):
                data += more
            if compression(data) != kind:
                raise Damaged(f"something that is not {kind} follows the {kind} data")
            stream = make()
        elif getattr(stream, "needs_input", True):
            data = read(size)
            if not data:
                raise Damaged(f"the {kind} data is cut off")
        else:
            data = b""


def _after_padding(data: bytes, read: Read, size: int) -> bytes:
    """Zeros after a stream are padding, as tapes and `xz` write them."""
    while data and not (rest := data.lstrip(b"\0")):
        data = read(size)
    return data and rest


def _decompressor(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    if kind == "gzip":
        from isal import igzip_lib

        failures: Any = (igzip_lib.error, OSError, ValueError)
        return lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), failures
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, ValueError)
    import lzma

    return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), (lzma.LZMAError,)


class _Stream:
    """A stream as pyarrow wants one."""

    closed = False

    def __init__(self, head: bytes, read: Read) -> None:
        self._head, self._read = head, read

    def read(self, size: int = -1) -> bytes:
        if self._head:
            part, self._head = self._head[:size], self._head[size:]
            return part
        return self._read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: the opener closes the stream."""


def _zstd(head: bytes, read: Read) -> Iterator[bytes]:
    import pyarrow

    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(_Stream(head, read), mode="r"), "zstd")
    while True:
        try:
            plain = stream.read(_BLOCK)
        except OSError as error:
            raise Damaged(f"the zstd data is cut off or damaged: {error}") from None
        if not plain:
            return
        yield plain


def _utf_16(kind: str, head: bytes, read: Read, size: int) -> Iterator[bytes]:
    """What is no text in UTF-16 becomes an escape."""
    decoder = codecs.getincrementaldecoder(kind)("backslashreplace")
    data = head
    while data:
        if text := decoder.decode(data).replace("\ufeff", ""):
            yield text.encode()
        data = read(size)
    if text := decoder.decode(b"", final=True):
        yield text.encode()
