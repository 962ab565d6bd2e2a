"""Requests that take two lines with one id: the second is the request, and has what the first says.

Between the two may stand lines of other requests, and the end of a chunk, of what an archive has, of a worker's share.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats import api
from logstats.archive.create import init
from logstats.pipeline import Counts

COLUMNS = ("kind", "method", "path", "status", "duration_ms", "client_ip", "trace_id")


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], Counts]:
    counts = Counts()
    frames = list(logstats.read(path, columns=COLUMNS, counts=counts, **options))
    return [row for frame in frames for row in frame.drop("source", "line").to_dicts()], counts


def phoenix(id: str, path: str, status: int, ms: int) -> tuple[str, str]:
    begin = f"2025-01-17 10:30:00.123 request_id={id} [info] GET {path}"
    return begin, f"2025-01-17 10:30:00.999 request_id={id} [info] Sent {status} in {ms}ms"


def rails(id: str, path: str, status: int, ms: int) -> tuple[str, str]:
    uuid = f"0af76519-16cd-43dd-8448-{int(id):012x}"
    head = f"I, [2025-01-17T10:30:00.000000 #4711]  INFO -- : [{uuid}] "
    return (
        f'{head}Started GET "{path}" for 192.0.2.1 at 2025-01-17 10:30:00 +0000',
        f"{head}Completed {status} OK in {ms}ms (Views: 3.1ms)",
    )


def fastify(id: str, path: str, status: int, ms: int) -> tuple[str, str]:
    head = {"level": 30, "time": 1737109800123, "pid": 1, "hostname": "h", "reqId": f"req-{id}"}
    asked = {"method": "GET", "url": path, "host": "a.example", "remoteAddress": "192.0.2.1", "remotePort": 5}
    answered = {"res": {"statusCode": status}, "responseTime": ms, "msg": "request completed"}
    return json.dumps({**head, "req": asked, "msg": "incoming request"}), json.dumps({**head, **answered})


def logbook(id: str, path: str, status: int, ms: int) -> tuple[str, str]:
    head = {"correlation": f"c{id}", "protocol": "HTTP/1.1"}
    asked = {"origin": "remote", "type": "request", "remote": "192.0.2.1", "method": "GET", "uri": path}
    answered = {"origin": "local", "type": "response", "duration": ms, "status": status}
    return json.dumps({**asked, **head}), json.dumps({**answered, **head})


def docker(make: Callable[..., tuple[str, str]]) -> Callable[..., tuple[str, str]]:
    def wrapped(*what: Any) -> tuple[str, str]:
        begin, end = (json.dumps({"log": f"{line}\n", "stream": "stdout"}) for line in make(*what))
        return begin, end

    return wrapped


def interleaved(make: Callable[..., tuple[str, str]], requests: int) -> tuple[list[str], dict[str, str]]:
    """The lines of so many requests, of which up to ten go on at the same time; and the path of each id."""
    draw = random.Random(requests)
    lines, waiting, paths = [], [], {}
    for number in range(requests):
        begin, end = make(str(number), f"/p{number}", 200, 5)
        paths[str(number)] = f"/p{number}"
        lines.append(begin)
        waiting.append(end)
        if len(waiting) > 10:
            lines.append(waiting.pop(draw.randrange(len(waiting))))
    return [*lines, *waiting], paths


@pytest.mark.parametrize("make", [phoenix, rails, fastify, logbook, docker(phoenix), docker(rails), docker(fastify)])
def test_a_request_has_what_its_first_line_says(tmp_path: Path, make: Callable[..., tuple[str, str]]) -> None:
    lines, paths = interleaved(make, 60)
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    rows, counts = read(path)
    assert (counts.requests, counts.events, counts.rejected, counts.ignored) == (60, 0, 0, 60)
    assert sorted(row["path"] for row in rows) == sorted(paths.values())
    assert {(row["method"], row["status"], row["duration_ms"]) for row in rows} == {("GET", 200, 5.0)}
    if make is phoenix:
        assert {row["trace_id"]: row["path"] for row in rows} == paths
    if make is rails:
        assert {row["client_ip"] for row in rows} == {"192.0.2.1"}


@pytest.mark.parametrize("size", [200, 1000, 5000])
@pytest.mark.parametrize("make", [phoenix, docker(rails)])
def test_chunks_do_not_matter(
    tmp_path: Path, chunks_of: Callable[[int], None], size: int, make: Callable[..., tuple[str, str]]
) -> None:
    chunks_of(size)
    lines, paths = interleaved(make, 80)
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    rows, counts = read(path)
    assert (counts.requests, counts.events, counts.rejected, counts.ignored) == (80, 0, 0, 80)
    assert sorted(row["path"] for row in rows) == sorted(paths.values())


def test_an_archive_goes_on_in_the_middle_of_a_request(tmp_path: Path) -> None:
    lines, _ = interleaved(phoenix, 50)
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines[:45]))
    root = init(tmp_path / "archive").root
    api.add([path], root)
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines[45:])
    api.add([path], root)
    report = logstats.report(archive=root)
    assert report.requests == 50
    assert all(entry.endpoint is not None for entry in report.endpoints)


def test_an_id_is_used_again_and_the_last_line_before_counts(tmp_path: Path) -> None:
    one, two = phoenix("a", "/one", 200, 1), phoenix("a", "/two", 404, 2)
    path = tmp_path / "a.log"
    path.write_text("\n".join([*one, *two]))
    assert [(row["path"], row["status"]) for row in read(path)[0]] == [("/one", 200), ("/two", 404)]


def test_without_ids_nothing_is_put_together(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = ['Started GET "/a" for 192.0.2.1 at 2025-01-17 10:30:00 +0000', "Completed 200 OK in 12ms (Views: 1ms)"]
    path.write_text("\n".join(lines))
    found = [(row["kind"], row["path"], row["status"]) for row in read(path)[0]]
    assert found == [("event", "/a", None), ("request", None, 200)]
