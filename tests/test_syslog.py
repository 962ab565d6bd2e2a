"""Lines that arrive at a port: datagrams and streams, framed as RFC 6587 has it, from peers that are allowed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import logstats
from logstats.errors import SourceError, UsageError
from logstats.inputs import Following, follow, syslog
from logstats.inputs.standard_input import StandardInput

LINE = b"<134>Jan 17 10:30:00 web nginx: 10.0.0.1 - - [17/Jan/2025:10:30:00 +0000]"


@contextmanager
def listening(allow: tuple[str, ...] = ()) -> Iterator[tuple[syslog.Syslog, list[str]]]:
    said: list[str] = []
    one = syslog.Syslog("syslog://:0", allow, say=said.append)
    try:
        yield one, said
    finally:
        one.close()


def lines(one: syslog.Syslog) -> list[bytes]:
    return [line for arrived in one.look() if arrived.chunk for line in arrived.chunk.data.splitlines()]


def send(one: syslog.Syslog, *pieces: bytes) -> None:
    with socket.create_connection(("127.0.0.1", one.port)) as stream:
        for piece in pieces:
            stream.sendall(piece)


def test_a_datagram_is_a_line() -> None:
    sent = [LINE + b' "GET /%d HTTP/1.1" 200' % number for number in range(100)]
    with listening() as (one, said), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in sent:
            sender.sendto(line + b"\n", ("127.0.0.1", one.port))
        one.wait(100)
        assert lines(one) == sent
        sender.sendto(b"<14>two\nlines\n\0", ("127.0.0.1", one.port))
        sender.sendto(b"<14>" + b"x" * 60_000, ("127.0.0.1", one.port))
        one.wait(2)
        assert lines(one) == [b"<14>two#012lines", b"<14>" + b"x" * 60_000]
        assert not said


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"<14>a\n<14>b\n", [b"<14>a", b"<14>b"]),  # RFC 6587, 3.4.2
        (b"5 <14>a6 <14>bb", [b"<14>a", b"<14>bb"]),  # RFC 6587, 3.4.1
        (b"7 <14>a\nb<14>c\n5 <14>d\n", [b"<14>a#012b", b"<14>c", b"<14>d"]),  # each in its own way
        (b"<14>a\r\n\n\n<14>b", [b"<14>a", b"<14>b"]),  # the last one ends with the connection
    ],
)
def test_frames(stream: bytes, expected: list[bytes]) -> None:
    """However TCP cuts them."""
    for cut in range(1, len(stream)):
        data, found = bytearray(stream[:cut]), []
        found += syslog._messages(data, last=False)
        data += stream[cut:]
        found += syslog._messages(data, last=True)
        assert [syslog._line(message)[:-1] for message in found] == expected
        assert not data
    with listening() as (one, _):
        send(one, stream)
        one.wait(len(expected))
        assert lines(one) == expected


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"99999999 <14>", "is said to have 99,999,999 bytes"),
        (b"12345678901234 <14>", "but not with its length"),
        (b"2025-01-17 a line without a priority\n", "but not with its length"),
    ],
)
def test_what_cannot_be_taken_apart_ends_the_connection_and_is_said(stream: bytes, why: str) -> None:
    with listening() as (one, said):
        with socket.create_connection(("127.0.0.1", one.port)) as sender:
            sender.sendall(b"<14>before\n" + stream)
            one.wait(1)
            assert lines(one) == [b"<14>before"]
            while sender.recv(1):
                pass
        lines(one)
        assert any(why in note for note in said)
        assert "are lost" in said[-1]


def test_peers_that_are_not_allowed_are_said_once() -> None:
    with listening(("10.0.0.0/8",)) as (one, said):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", one.port)) as sender:
                assert not sender.recv(1), "it is closed"
        assert not lines(one)
        assert said == [f"{one.name}: 127.0.0.1 is not on the allow list, and not listened to (--allow 127.0.0.1)"]
        assert one.refused == 3


def test_what_comes_too_fast_waits_or_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP waits. The system drops datagrams that nobody takes, and its count is passed on."""
    monkeypatch.setattr(syslog, "WAITING", 1 << 16)
    monkeypatch.setattr(syslog, "BUFFER", 1 << 16)
    with listening() as (one, said):
        sent = 3_000
        writer = threading.Thread(target=send, args=(one, *[b"<14>%d %s\n" % (n, b"x" * 900) for n in range(sent)]))
        writer.start()
        got: list[bytes] = []
        while len(got) < sent:
            one.wait(1)
            got += lines(one)
        writer.join()
        assert [int(line[4:].split()[0]) for line in got] == list(range(sent))
        assert not said
    with listening() as (one, said), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(sent):
            sender.sendto(b"<14>%d %s" % (number, b"x" * 900), ("127.0.0.1", one.port))
        received = 0
        while not one.dropped or received + one.dropped < sent:
            sender.sendto(b"<14>again", ("127.0.0.1", one.port))  # the count comes with a datagram
            sent += 1
            received += len(lines(one))
        assert received + one.dropped == sent
        assert any("datagrams were dropped by the system" in note for note in said)


@pytest.mark.parametrize("text", ["syslog://", "syslog://host", "syslog://host:port", "syslog://host:99999"])
def test_a_place_has_a_port(text: str) -> None:
    with pytest.raises(UsageError):
        follow([text], Following())


def test_a_port_that_is_taken_is_an_error_in_words() -> None:
    with listening() as (one, _), pytest.raises(SourceError, match="cannot listen"):
        follow([f"syslog://127.0.0.1:{one.port}"], Following())
    with pytest.raises(UsageError, match="--allow"):
        follow(["syslog://:0"], Following(allow=["nonsense"]))


@pytest.mark.skipif(shutil.which("logger") is None, reason="needs logger (util-linux)")
@pytest.mark.parametrize(
    "options",
    [
        ("--udp", "--rfc3164"),
        ("--udp", "--rfc5424"),
        ("--tcp", "--rfc3164"),
        ("--tcp", "--rfc5424", "--octet-count"),
    ],
    ids=" ".join,
)
def test_what_logger_sends_is_read(options: tuple[str, ...], tmp_path: Path) -> None:
    """util-linux's program writes both headers and both framings."""
    request = '10.0.0.1 - - [17/Jan/2025:10:30:00 +0000] "GET /%d HTTP/1.1" 200 5'
    with listening() as (one, _):
        for number in range(3):
            command = ["logger", *options, "-n", "127.0.0.1", "-P", str(one.port), "-t", "nginx", request % number]
            subprocess.run(command, check=True, timeout=60)
        one.wait(3)
        (tmp_path / "log").write_bytes(b"\n".join(lines(one)) + b"\n")
    made = logstats.report(tmp_path / "log")
    assert (made.requests, made.rejected, made.status) == (3, 0, {"200": 3})


def test_standard_input_gives_what_has_arrived() -> None:
    from logstats.inputs import Source

    read, write = os.pipe()
    said: list[str] = []
    stdin = StandardInput(say=said.append, source=Source("-", Path(f"/dev/fd/{read}")))
    os.close(read)
    got = b""
    for part in (b"one\ntw", b"o\nthree"):
        os.write(write, part)
        while not got.endswith(part[: part.rindex(b"\n") + 1]):
            got += b"".join(arrived.chunk.data for arrived in stdin.look() if arrived.chunk)
    assert got == b"one\ntwo\n"
    os.close(write)
    stdin.wait()
    (last, end) = stdin.look()
    assert last.chunk is not None
    assert (last.chunk.data, last.chunk.first_line, end.ended, stdin.ended) == (b"three", 3, True, True)
    assert not list(stdin.look())
    assert not said
