"""Measures how fast small objects of a store come, over a link of 20 ms: one by one, and as `report` fetches them.

    python scripts/bench_objects.py [--objects 10000] [--bytes 5000] [--delay 20]

The store is a server of this process's child that answers every request after the delay, with the same bytes. Nothing
is parsed. Nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import time
from contextlib import closing, suppress

from logstats.inputs import stores
from logstats.inputs.source import Source

ONE_BY_ONE = 100  # objects


def serve(listening: socket.socket, size: int, delay: float) -> None:
    """Answer requests until this process is ended."""
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {size}", 'ETag: "e"', "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT")
    answer = "\r\n".join([*lines, "", ""]).encode() + b"x" * size

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(delay)
                writer.write(answer)
                await writer.drain()
        writer.close()

    async def forever() -> None:
        async with await asyncio.start_server(carry, sock=listening, backlog=500) as server:
            await server.serve_forever()

    asyncio.run(forever())


def main() -> None:
    """Print the time per object, both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=5_000)
    parser.add_argument("--delay", type=float, default=20, help="milliseconds")
    options = parser.parse_args()
    with closing(socket.create_server(("127.0.0.1", 0), backlog=500)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        given = (listening, options.bytes, options.delay / 1000)
        server = multiprocessing.get_context("fork").Process(target=serve, args=given, daemon=True)
        server.start()
    os.environ.update(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_REGION="us-east-1")

    def sources(count: int) -> list[Source]:
        names = [f"s3://bucket/{number}" for number in range(count)]
        return [Source(name, None, options.bytes, 0.0, url=name, version='"e"', endpoint=address) for name in names]

    begun = time.perf_counter()
    for source in sources(ONE_BY_ONE):
        stores.OpenObject(source).whole()
    alone = (time.perf_counter() - begun) / ONE_BY_ONE
    begun, used, read = time.perf_counter(), time.process_time(), 0
    for source in stores.ahead(sources(options.objects)):
        assert source.start is not None and source.start.opened is not None
        read += len(source.start.opened.read(options.bytes))
    together = (time.perf_counter() - begun) / options.objects
    used = (time.process_time() - used) / options.objects
    assert read == options.objects * options.bytes
    print(
        f"{options.objects:,} objects of {options.bytes:,} bytes, {options.delay:g} ms each: {1000 * alone:.2f} ms one "
        f"by one, {1000 * together:.2f} ms ({1000 * used:.2f} ms of CPU) as they are fetched: "
        f"{alone / together:.0f} times as fast"
    )
    server.kill()


if __name__ == "__main__":
    main()
