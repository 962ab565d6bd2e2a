"""Log lines over the network: syslog by UDP and TCP on one port, as nginx, HAProxy, rsyslog and syslog-ng send it.

Each message becomes one line; what its header means is the business of the formats (RFC 3164, RFC 5424). A datagram is
a message. In a stream a message ends with a newline, or its length comes before it (RFC 6587: `17 <134>…`). A newline
within a message becomes `#012`, as rsyslog writes it, so that one message cannot become two lines.

Only peers of the allow list are listened to, by default those of this machine: anybody can send from anywhere. A thread
receives. No more than a few megabytes wait to be taken: then TCP makes its senders wait, and datagrams are dropped by
the system, which counts them, and that is said.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import SourceError, UsageError
from logstats.inputs.chunks import MAX_LINE, Lines
from logstats.inputs.follower import Arrived, Content
from logstats.inputs.source import Start

SCHEME: Final = "syslog://"
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
WAITING: Final = 16 << 20  # bytes that wait to be taken
CONNECTIONS: Final = 256
LONGEST: Final = 1 << 20  # bytes of a message in a stream
DATAGRAM: Final = 1 << 16
BUFFER: Final = 8 << 20  # bytes that the system keeps for us while we are busy
_PEERS: Final = 100  # that are refused, and said
_LENGTH: Final = 10  # digits before a message

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class _Connection:
    """A stream of messages from one peer."""

    socket: socket.socket
    peer: str
    data: bytearray = field(default_factory=bytearray)


class _Framing(Exception):
    """A stream that cannot be taken apart."""


def address(text: str) -> tuple[str, int]:
    """`syslog://[::1]:5514`, `syslog://:514` → host and port; without a host, this machine alone. Raises UsageError."""
    place = text.removeprefix(SCHEME).rstrip("/")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{text}: no port is named", "syslog://127.0.0.1:5514, or syslog://:5514")
    return host.strip("[]") or "127.0.0.1", int(port)


def networks(texts: Sequence[str]) -> list[Network]:
    """The networks of an allow list; of an empty one, this machine. Raises UsageError."""
    try:
        return [ipaddress.ip_network(text, strict=False) for text in texts or LOOPBACK]
    except ValueError as error:
        raise UsageError(f"--allow: {error}", "an address or a network: 10.0.0.5, 10.0.0.0/8, fd00::/8") from None


class Syslog:
    """Messages that arrive at a port; `look` gives what has arrived. Raises UsageError, and SourceError if the port
    cannot be had."""

    behind = ended = False
    truncated = 0
    unfinished = 0
    stuck = 0

    def __init__(
        self,
        place: str,
        allow: Sequence[str] = (),
        *,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = place
        self.dropped = 0  # datagrams that the system dropped, because they came faster than they were read
        self.refused = 0  # datagrams and connections of peers that are not allowed
        self._allow, self._say = networks(allow), say
        host, port = address(place)
        self._content = Content(place, 0, Lines(MAX_LINE, Start()))
        self._arrived: list[bytes] = []
        self._size = 0
        self._peers: set[str] = set()
        self._notes: list[str] = []
        self._closed = False
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._tcp = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
            self.port: int = self._tcp.getsockname()[1]  # the one that was given to us, if 0 was asked for
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._udp.bind((host, self.port))
        except OSError as error:
            hint = "ports below 1024 are root's: take another one" if port < 1024 else "is another program there?"
            raise SourceError(place, f"cannot listen: {error.strerror or error}", hint) from None
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        if sys.platform == "linux":
            self._udp.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        for one in (self._tcp, self._udp):
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="logstats-syslog", daemon=True)
        self._thread.start()

    def look(self) -> Iterator[Arrived]:
        """What has arrived since the last look."""
        taken = self.take(0)
        yield from self._content.feed([b"".join(taken)] if taken else [])

    def take(self, seconds: float) -> list[bytes]:
        """The lines that have arrived, after waiting for some for so long at the most."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._notes or self._closed, seconds)
            taken, self._arrived, self._size = self._arrived, [], 0
            notes, self._notes = self._notes, []
            self._changed.notify_all()
        for note in notes:
            self._say(f"{self.name}: {note}")
        return taken

    def wait(self, messages: int) -> None:
        """Until so many messages wait to be taken."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._arrived) >= messages)

    def close(self) -> None:
        """Stop listening."""
        with self._changed:
            closed, self._closed = self._closed, True
            self._changed.notify_all()
        if not closed:
            with contextlib.suppress(BrokenPipeError):  # it may have seen that already
                self._waker.send(b"x")
            self._thread.join()
            self._waker.close()

    # -- the thread that receives

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select():
                with self._changed:
                    self._changed.wait_for(lambda: self._size < WAITING or self._closed)
                if self._closed:
                    break
                if key.fileobj is self._udp:
                    self._datagrams()
                elif key.fileobj is self._tcp:
                    self._accept()
                elif key.fileobj is not self._woken:
                    self._stream(key.data)
        for key in list(self._selector.get_map().values()):
            os.close(key.fileobj.detach())  # type: ignore[union-attr]
        self._selector.close()

    def _datagrams(self) -> None:
        messages: list[bytes] = []
        size = 0
        while size < WAITING // 4:
            try:
                data, extra, _, peer = self._udp.recvmsg(DATAGRAM, 64)
            except OSError:
                break
            for level, kind, value in extra:
                if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                    self._lost(struct.unpack("I", value)[0])
            if not self._is_allowed(str(peer[0])):
                continue
            messages.append(_line(data))
            size += len(data)
        self._put(messages)

    def _accept(self) -> None:
        try:
            made, peer = self._tcp.accept()
        except OSError:
            return
        if not self._is_allowed(str(peer[0])):
            made.close()
            return
        if len(self._selector.get_map()) >= CONNECTIONS + 3:
            self._note(f"more than {CONNECTIONS} connections at once: one from {peer[0]} is refused")
            made.close()
            return
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ, _Connection(made, str(peer[0])))

    def _stream(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self._note(f"the connection from {connection.peer} broke: {error.strerror or error}")
            data = b""
        connection.data += data
        messages: list[bytes] = []
        over = not data
        try:
            messages += (_line(message) for message in _messages(connection.data, last=over))
        except _Framing as error:
            self._note(f"the connection from {connection.peer} is closed: {error}")
            over = True
        self._put(messages)
        if over:
            if connection.data:
                self._note(f"{len(connection.data):,} bytes of a message from {connection.peer} are lost, cut off")
            self._selector.unregister(connection.socket)
            connection.socket.close()

    def _put(self, messages: list[bytes]) -> None:
        if messages:
            with self._changed:
                self._arrived += messages
                self._size += sum(map(len, messages))
                self._changed.notify_all()

    def _is_allowed(self, peer: str) -> bool:
        place = ipaddress.ip_address(peer.partition("%")[0])
        place = getattr(place, "ipv4_mapped", None) or place
        if any(place in network for network in self._allow):
            return True
        self.refused += 1
        if peer not in self._peers and len(self._peers) < _PEERS:
            self._peers.add(peer)
            self._note(f"{peer} is not on the allow list, and not listened to (--allow {peer})")
        return False

    def _lost(self, total: int) -> None:
        """The system's count of the datagrams that it has dropped."""
        if total > self.dropped:
            self._note(f"{total - self.dropped:,} datagrams were dropped by the system: they came too fast")
            self.dropped = total

    def _note(self, text: str) -> None:
        with self._changed:
            if len(self._notes) < _PEERS:
                self._notes.append(text)
                self._changed.notify_all()


_SO_RXQ_OVFL: Final = 40  # Linux: with each datagram, how many were dropped before


def _line(message: bytes) -> bytes:
    """A message as a line."""
    body = message.rstrip(b"\r\n\0")
    return body.replace(b"\n", b"#012") + b"\n"


def _messages(data: bytearray, *, last: bool) -> Iterator[bytes]:
    """Take the whole messages from the beginning of a stream; each is framed in its own way. Raises _Framing."""
    start = 0
    try:
        while start < len(data):
            if data[start : start + 1].isdigit():
                space = data.find(b" ", start, start + _LENGTH + 1)
                digits = bytes(data[start : space if space >= 0 else start + _LENGTH + 1])
                if not digits.isdigit() or (space < 0 and len(digits) > _LENGTH):
                    raise _Framing("a message begins with a digit, but not with its length")
                if space < 0:
                    return
                if int(digits) > LONGEST:
                    raise _Framing(f"a message is said to have {int(digits):,} bytes")
                end = space + 1 + int(digits)
                if end > len(data):
                    return
                yield bytes(data[space + 1 : end])
                start = end
                continue
            end = data.find(b"\n", start)
            if end < 0 and last:
                end = len(data)
            if end < 0:
                if len(data) - start > LONGEST:
                    raise _Framing(f"a message has no end after {len(data) - start:,} bytes")
                return
            if end > start:
                yield bytes(data[start:end])
            start = end + 1
    finally:
        del data[:start]
