"""`logstats serve`: what it answers is what a report says of the same lines; who may ask; how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import archives
import pytest
from hostile import ATTACKS, hostile_log
from program import invoke
from serving import Client, served

import logstats
from logstats import api
from logstats.errors import UsageError
from logstats.live.serve.app import Latest
from logstats.live.serve.server import address
from logstats.live.serve.view import View, read
from logstats.live.watching import Watching
from logstats.reports.openmetrics import Apart, to_openmetrics

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined_time.log"
NOT_THE_SAME = {"generated_at", "notes", "over_time", "breakdowns"}
BY_TIME = NOT_THE_SAME | {"sources", "lines", "filtered", "ignored", "filters", "rejected", "rejects"}


@pytest.fixture(scope="module")
def sample() -> Iterator[Client]:
    """The sample, read from its start."""
    with served(SAMPLE) as client:
        client.read(SAMPLE.read_bytes().count(b"\n"))
        yield client


def same(found: dict[str, Any], expected: dict[str, Any], without: set[str]) -> None:
    """All figures but some."""
    assert found["requests"] > 0
    for key in expected.keys() - without:
        assert found[key] == expected[key], key


def test_the_report_is_that_of_the_same_lines(sample: Client) -> None:
    same(sample.report(), logstats.report(SAMPLE).to_dict(), NOT_THE_SAME)
    same(sample.report("?range=all"), logstats.report(SAMPLE).to_dict(), NOT_THE_SAME)


def test_a_stretch_of_time_is_that_of_a_report(sample: Client) -> None:
    span = {"since": "2025-01-17T09:07:00Z", "until": "2025-01-17T15:33:00Z"}
    found = sample.report(f"?{urlencode(span)}")
    expected = logstats.report(SAMPLE, over_time=True, by=["client_ip", "host"], **span).to_dict()
    same(found, expected, BY_TIME)
    assert found["filters"] == span
    assert found["over_time"] == expected["over_time"]
    assert found["breakdowns"] == expected["breakdowns"]
    assert found["lines"] == found["requests"] + found["events"] + found["rejected"]


def test_rejected_lines_count_in_the_minute_of_the_line_before(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    line = '10.0.0.1 - - [17/Jan/2025:12:0{}:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
    log.write_text(
        "what\n" + line.format(0) + "is\n" + line.format(1) + line.format(2) + "this\nnow\n" + line.format(3)
    )
    with served(log) as client:
        client.read(8)
        found = client.report("?since=2025-01-17T12:01:00Z&until=2025-01-17T12:03:00Z")
        assert (found["requests"], found["rejected"], found["lines"]) == (2, 2, 4)
        assert [(one["line"], one["text"]) for one in found["rejects"]["samples"]] == [(6, "this"), (7, "now")]
        assert client.report("?since=2025-01-17T12:00:00Z")["rejected"] == 4


def test_lines_that_are_in_no_minute_are_said(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    line = '10.0.0.1 - - [17/Jan/2025:12:0{}:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
    log.write_text(line.format(5) * 3 + line.format(1))
    with served(log) as client:
        client.read(4)
        found = client.report("?since=2025-01-17T12:00:00Z&client_ip=10.0.0.1")
        assert found["requests"] == client.report("?since=2025-01-17T12:00:00Z")["requests"] == 3
        assert any("in no minute: 1 of the lines" in note for note in found["notes"])
        assert client.report()["requests"] == 4


@pytest.mark.parametrize(
    "only",
    [
        {"status": "5xx"},
        {"status": "404"},
        {"method": "GET", "endpoint": "/api/bugs/{id}"},
        {"client_ip": "203.0.113.7"},
        {"endpoint": "/it's not there"},
    ],
)
def test_narrowed_figures_are_those_of_a_report_with_a_filter(sample: Client, only: dict[str, str]) -> None:
    if "client_ip" in only:
        only = {"client_ip": logstats.report(SAMPLE, by=["client_ip"]).breakdowns["client_ip"][0].value}
    where = " and ".join(
        f"{name} == {value}" if name in ("status", "client_ip") else f'{name} == "{value}"'
        for name, value in only.items()
    )
    span = {"since": "2025-01-17T02:00:00Z", "until": "2025-01-17T22:00:00Z"}
    found = sample.report(f"?{urlencode({**only, **span})}")
    expected = logstats.report(SAMPLE, where=where, over_time=True, by=["client_ip", "host"], **span).to_dict()
    for key in expected.keys() - {"generated_at", "notes", "filters", "sources", "lines", "filtered", "ignored"}:
        assert found[key] == expected[key], key


def test_of_the_rows_that_are_held_and_it_says_so(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "".join(
            f'10.0.0.{n % 3} - - [17/Jan/2025:12:{n // 60:02}:{n % 60:02} +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
            for n in range(1200)
        )
    )
    watching = Watching(history=3600, keep=3600, rows=400, top=10, interval=0.1, from_start=True)
    with served(log, watching=watching) as client:
        client.read(1200)
        whole, one = client.report("?range=1h"), client.report("?range=1h&client_ip=10.0.0.1")
        assert whole["requests"] == 1200
        assert 100 < one["requests"] <= 134
        for made in (whole, one):
            (said,) = [note for note in made["notes"] if "reach back to" in note]
            assert "2025-01-17 12:1" in said
        recent = client.report("?since=2025-01-17T12:17:00Z&client_ip=10.0.0.1")
        assert (recent["requests"], len(recent["notes"])) == (60, 1)


def test_what_is_no_longer_held_is_said_of_the_whole_session_too(tmp_path: Path) -> None:
    """Its own figures are of every line; those of one client, and the ranking of clients, are of the rows held."""
    log = tmp_path / "a.log"
    log.write_text(
        "".join(
            f'10.0.0.1 - - [17/Jan/2025:{n // 6:02}:{n % 6}0:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
            for n in range(60)
        )
    )
    watching = Watching(history=3600, keep=3600, rows=400, top=10, interval=0.1, from_start=True)
    with served(log, watching=watching) as client:
        client.read(60)
        whole, one = client.report("?range=all"), client.report("?range=all&client_ip=10.0.0.1")
        assert (whole["requests"], whole["breakdowns"]["client_ip"][0]["requests"]) == (60, one["requests"])
        for made, what in ((whole, "clients and hosts are those"), (one, "these figures are")):
            said = [note for note in made["notes"] if note.startswith(f"{what} of the newest {one['requests']} rows")]
            assert len(said) == 1, made["notes"]
            assert "reach back to 2025-01-17 08:5" in said[0]


def test_where_no_rows_are_held_it_says_so_of_the_newest_minute_too(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text('10.0.0.1 - - [17/Jan/2025:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n')
    watching = Watching(history=3600, keep=3600, rows=0, top=10, interval=0.1, from_start=True)
    with served(log, watching=watching) as client:
        client.read(1)
        found = client.report("?since=2025-01-17T12:00:00Z&client_ip=10.0.0.1")
        assert any("of the newest 0 rows" in note for note in found["notes"])


def test_before_the_first_line_the_page_is_of_now(tmp_path: Path) -> None:
    with served(tmp_path / "none.log") as client:
        found = client.report("?range=5m")
        assert found["filters"]["since"] > "2025"
        assert not any("before" in note for note in found["notes"])


# ------------------------------------------------------------------ archives


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    folder = tmp_path_factory.mktemp("serve") / "archive"
    archives.make(folder, [SAMPLE])
    with served(None, archive=folder) as client:
        yield client, folder


def test_an_archive_is_served_alone(archived: tuple[Client, Path]) -> None:
    client, folder = archived
    same(client.report(), logstats.report([], archive=folder).to_dict(), NOT_THE_SAME)
    span = {"since": "2025-01-17T09:07:00Z", "until": "2025-01-17T15:33:00Z"}
    expected = logstats.report([], archive=folder, over_time=True, **span).to_dict()
    same(client.report(f"?{urlencode(span)}"), expected, {"generated_at"})
    expected = logstats.report([], archive=folder, where="status >= 500 and status < 600", **span).to_dict()
    same(client.report(f"?{urlencode({**span, 'status': '5xx'})}"), expected, NOT_THE_SAME | {"filters"})
    assert client.get("/ready").status == 200
    empty = client.report("?range=30d")
    assert empty["requests"] == 0
    assert any("there are lines of 2025-01-17" in note for note in empty["notes"])


def test_an_archive_that_cannot_be_read_for_a_while(
    archived: tuple[Client, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known goes on, also while somebody listens."""
    monkeypatch.setattr("logstats.live.serve.archived.LOOKED", 0.0)
    folder = Path(shutil.copytree(archived[1], tmp_path / "archive"))
    with served(None, archive=folder) as client:
        events = client.events()
        commit = next(events)["archive"]["commit"]
        folder.rename(tmp_path / "away")
        client.until(lambda: b"cannot be read" in client.get("/ready").body)
        assert [next(events)["archive"]["commit"] for _ in range(3)] == [commit] * 3
        (tmp_path / "away").rename(folder)
        client.until(lambda: client.get("/ready").status == 200)


def test_of_an_empty_archive_no_line_is_old(tmp_path: Path) -> None:
    archives.build(tmp_path, [])
    with served(None, archive=tmp_path, max_lag=60.0) as client:
        assert client.get("/ready").body == b"the archive is empty (--max-lag 60s)\n"
        assert b"lag_seconds" not in client.get("/metrics").body


def test_what_is_older_than_the_session_comes_from_the_archive(archived: tuple[Client, Path], tmp_path: Path) -> None:
    log = tmp_path / "now.log"
    log.write_text('10.0.0.1 - - [18/Jan/2025:00:30:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n' * 3)
    with served(log, archive=archived[1]) as client:
        client.read(3)
        assert client.report("?since=2025-01-18T00:30:00Z")["requests"] == 3
        older = client.report("?since=2025-01-17T23:00:00Z&until=2025-01-18T00:00:00Z")
        assert older["requests"] == logstats.report(SAMPLE, since="2025-01-17T23:00:00Z").requests
        assert any(note.startswith("from an archive") for note in older["notes"])
        page = client.get("/").body.decode()
        assert "30 days" in page
        metrics = client.get("/metrics").body.decode()
        assert f'logstats_lines_total{{result="requests"}} {logstats.report(SAMPLE).requests}\n' in metrics


@pytest.mark.parametrize("days", [7, 30])
def test_long_ranges_come_from_rollups_alone(month: tuple[Path, Path], days: int) -> None:
    """The files of rows are gone: an answer that needed one would fail."""
    log, folder = month
    with served(None, archive=folder) as client:
        found = client.report(f"?range={days}d")
        assert client.get(f"/?range={days}d").status == 200
    assert [note for note in found["notes"] if note.startswith("from an archive: ") and "rows" not in note]
    span = {"since": found["filters"]["since"], "until": found["filters"]["until"]}
    length = datetime.fromisoformat(span["until"]) - datetime.fromisoformat(span["since"])
    assert timedelta(days=days) <= length <= timedelta(days=days, hours=2)
    same(found, logstats.report(log, over_time=True, **span).to_dict(), BY_TIME)
    assert found["requests"] in (days * 24 // 40, days * 24 // 40 + 1)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A log of the last 33 days, and its archive, whose rows are deleted."""
    folder, now = tmp_path_factory.mktemp("month"), datetime.now(UTC)
    log = folder / "a.log"
    log.write_text(
        "".join(
            f"10.0.0.{n % 9} - - [{now - timedelta(hours=40 * n):%d/%b/%Y:%H:%M:%S} +0000] "
            f'"GET /{n % 7} HTTP/1.1" {500 if n % 11 == 0 else 200} {n} "-" "curl" 0.0{n % 10}\n'
            for n in range(20, -1, -1)
        )
    )
    archives.build(folder / "archive", [log])
    gone = [*(folder / "archive").glob("hot/**/*.parquet")]
    assert gone
    for path in gone:
        path.unlink()
    return log, folder / "archive"


# ------------------------------------------------------------------ metrics, health


def test_no_counter_falls_over_a_restart(tmp_path: Path) -> None:
    """Of a process that was killed; meanwhile, an endpoint became the busiest that had no counter of its own."""

    def log(name: str, requests: dict[str, int]) -> Path:
        line = '10.0.0.1 - - [17/Jan/2025:12:00:00 +0000] "GET {} HTTP/1.1" 200 5 "-" "curl"\n'
        (tmp_path / name).write_text("".join(line.format(path) * count for path, count in requests.items()))
        return tmp_path / name

    def counters() -> dict[str, float]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            client = Client(free.getsockname()[1])
        address = ["--listen", f"127.0.0.1:{client.port}"]
        command = [sys.executable, "-m", "logstats", "serve", "-q", "--archive", str(archive), *address]

        def answer() -> bytes:
            with contextlib.suppress(OSError):
                return client.get("/metrics").body
            return b""

        with subprocess.Popen(command) as process:
            try:
                text = client.until(answer).decode()
            finally:
                process.kill()
        values = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in values if re.search("_(total|bucket|count|sum)({|$)", name)}

    archive = tmp_path / "archive"
    archives.build(archive, [log("a.log", {f"/a/{'x' * n}": 2 for n in range(1, 101)} | {"/b": 1, "/c": 1})])
    before = counters()
    api.add(log("b.log", {"/c": 50, "/d": 5}), archive)
    after = counters()
    assert before.keys() <= after.keys()
    assert {name: (value, after[name]) for name, value in before.items() if after[name] < value} == {}
    assert after['logstats_lines_total{result="requests"}'] == 257


def test_metrics_are_openmetrics(sample: Client) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    answer = sample.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in parser.text_string_to_metric_families(answer.body.decode())}
    report = logstats.report(SAMPLE)
    assert sum(one.value for one in families["logstats_requests"].samples) == report.requests
    assert families["logstats_up"].samples[0].value == 1
    assert families["logstats_lag_seconds"].samples[0].value > 86_400


def test_no_counter_falls_when_endpoints_come_and_grow() -> None:
    """Which endpoints have series of their own does not change when others become busier."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    (row,) = [row for row in logstats.report(SAMPLE).endpoints if row.endpoint == "/api/bugs"][:1]
    report = logstats.report(SAMPLE)
    apart, before = Apart(3), {}
    for counts in (
        {"/a": 5, "/b": 4},
        {"/a": 6, "/b": 4, "/c": 1, "/d": 9},
        {"/a": 6, "/b": 4, "/c": 99, "/d": 10, "/e": 50},
    ):
        rows = [
            replace(row, endpoint=name, requests=n, status_classes={"2xx": n}, errors=0) for name, n in counts.items()
        ]
        text = to_openmetrics(replace(report, endpoints=rows), apart=apart)
        found = {
            sample.labels["endpoint"]: sample.value
            for family in parser.text_string_to_metric_families(text)
            if family.name == "logstats_endpoint_requests"
            for sample in family.samples
        }
        assert sum(found.values()) == sum(counts.values())
        assert all(found[name] >= value for name, value in before.items())
        before = found
    assert before == {"/a": 6, "/b": 4, "/d": 10, "(other)": 149}


def test_ready_while_sources_are_there_and_fresh(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with served(log) as client:
        assert client.get("/health").body == b"ok\n"
        client.until(lambda: b"1 of the sources" in client.get("/ready").body)
        assert client.get("/ready").status == 503
        log.write_bytes(SAMPLE.read_bytes())
        client.until(lambda: client.get("/ready").status == 200)
    with served(log, max_lag=3600.0) as client:
        client.until(lambda: b"the newest line is" in client.get("/ready").body)
        assert client.get("/ready").status == 503


# ------------------------------------------------------------------ events


def test_alerts_are_on_the_page_in_metrics_and_in_events(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    line = '10.0.0.1 - - [17/Jan/2025:12:0{}:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
    log.write_text(line.format(0) * 2 + line.format(1) * 5 + line.format(3))
    with served(log, alerts=["requests > 4", "requests > 99"]) as client:
        client.read(8)
        client.until(lambda: b"firing" in client.get("/panels").body)
        page = client.get("/panels").body.decode()
        assert page.count("<strong>firing</strong>") == 1
        assert "<code><bdi>requests &gt; 4</bdi></code>" in page
        metrics = client.get("/metrics").body.decode()
        assert 'logstats_alert_firing{condition="requests > 4"} 1\n' in metrics
        assert 'logstats_alert_firing{condition="requests > 99"} 0\n' in metrics
        assert 'logstats_alerts_fired_total{condition="requests > 4"} 1\n' in metrics
        event = next(client.events())
        assert [one["state"] for one in event["alerts"]] == ["firing", "ok"]


def test_events_tell_what_was_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:100]))
    with served(log) as client:
        seen = 0
        for event in client.events():
            if event["lines"] == 100 and not seen:
                seen = 100
                with log.open("ab") as file:
                    file.writelines(lines[100:150])
            if event["lines"] == 150:
                assert event["requests"] + event["rejected"] == 150
                break
        assert seen


def test_a_slow_listener_gets_the_newest_event_and_delays_nobody() -> None:
    async def listen() -> None:
        latest = Latest()
        latest.attach(asyncio.get_running_loop())
        slow, fast = latest.events(), latest.events()
        waiting = [asyncio.ensure_future(anext(one)) for one in (slow, fast)]
        await asyncio.sleep(0)
        got = []
        for number in range(1000):
            latest.publish(b"%d" % number)
            got.append(await waiting[1])
            waiting[1] = asyncio.ensure_future(anext(fast))
            await asyncio.sleep(0)
        assert got == [b"%d" % number for number in range(1000)]
        assert [await waiting[0], await anext(slow)] == [b"0", b"999"]
        assert latest.listeners == 2
        latest.close()
        with pytest.raises(StopAsyncIteration):
            await anext(slow)

    asyncio.run(listen())


def test_what_fails_is_said_once_and_others_are_answered(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    said: list[str] = []
    with served(SAMPLE, say=said.append) as client:
        with monkeypatch.context() as broken:
            broken.setattr("logstats.live.serve.app.read", lambda *_: 1 / 0)
            assert [client.get("/api/report").status for _ in range(2)] == [500, 500]
        assert client.get("/api/report").status == 200
    assert len(said) == 1
    assert "division by zero" in said[0]
    assert capfd.readouterr().err == ""


# ------------------------------------------------------------------ who may ask


def test_a_name_that_is_not_known_is_refused(sample: Client) -> None:
    """DNS rebinding: a page elsewhere has its own name point here."""
    assert sample.get("/", Host="evil.example").status == 421
    assert b"--allow-host" in sample.get("/api/report", Host="evil.example:8080").body
    for name in ("localhost", "127.0.0.1:8080", "[::1]:8080"):
        assert sample.get("/health", Host=name).status == 200


def test_a_token(sample: Client) -> None:
    with served(SAMPLE, token="geheim €", names=()) as client:
        for path in ("/", "/panels", "/metrics", "/api/report", "/api/events", "/assets/page.js"):
            refused = client.get(path)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert client.get(path, Authorization="Bearer geheim").status == 401
            assert client.get(f"{path}?token=wrong").status == 401
        assert client.get("/health").status == 200
        encoded = "geheim €".encode().decode("latin-1")
        assert client.get("/metrics", Authorization=f"Bearer {encoded}").status == 200
        welcome = client.get(f"/?range=1h&token={quote('geheim €')}", Host="logs.example.org")
        assert (welcome.status, welcome.headers["location"]) == (303, "?range=1h")
        cookie, *attributes = welcome.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Lax"} <= set(attributes)
        assert not any(one.startswith("Path") for one in attributes), "it belongs to the folder, whatever a proxy adds"
        assert "geheim" not in cookie
        assert client.get("/panels", Cookie=cookie).status == 200
        assert client.get(f"/api/report?token={quote('geheim €')}").status == 200


def test_other_machines_only_with_a_token() -> None:
    ran = invoke("serve", str(SAMPLE), "--listen", "0.0.0.0:0")
    assert ran.returncode == 2
    assert b"give a --token, or listen on 127.0.0.1" in ran.stderr
    taken = invoke("serve", str(SAMPLE), "--listen", "192.0.2.1:1", "--token", "x")
    assert taken.returncode == 1
    assert b"--listen 192.0.2.1:1" in taken.stderr
    assert b"Traceback" not in ran.stderr + taken.stderr


@pytest.mark.parametrize("text", ["8080", "::1:80", "127.0.0.1:99999", "localhost:http", ""])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        address(text)
    assert address("[::1]:80").url(80) == "http://[::1]:80/"


@pytest.mark.parametrize(
    "query",
    ["range=2h", "since=never", "nonsense=1", "range=1h&since=1h", "status=9999", "status=", "host=a&host=b",
     f"endpoint={'x' * 3000}", "since=2025-01-02&until=2025-01-01", "since=9999999999999d"],
)  # fmt: skip
def test_queries_that_mean_nothing(sample: Client, query: str) -> None:
    for path in ("/", "/panels", "/api/report"):
        answer = sample.get(f"{path}?{query}")
        assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert sample.get("/nothing").status == 404
    assert sample.get("/assets/../page.py").status == 404


def test_a_long_stretch_of_time_costs_what_is_held_of_it(sample: Client) -> None:
    """And not a step for each minute of nine thousand years, while everybody else waits."""
    whole = sample.report("?since=0001-01-02&until=9999-12-30")
    assert whole["requests"] == sample.report("?range=all")["requests"]
    assert sample.report("?since=9000-01-01&until=9999-12-30")["requests"] == 0


def test_a_view_is_its_query() -> None:
    from datetime import UTC, datetime
    from urllib.parse import parse_qsl

    now = datetime(2025, 1, 17, tzinfo=UTC)
    for view in (
        View("5m"),
        View("all", only={"endpoint": "/a b&c=d?e#f%41'\"<", "method": "GET"}),
        View(since=datetime(1, 1, 1, tzinfo=UTC), until=datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),
    ):
        assert read(parse_qsl(view.query()), "1h", "UTC", now) == view
    rounded = read([("since", "2025-01-17T10:00:30Z"), ("until", "2025-01-17T10:05:30Z")], "1h", "UTC", now)
    assert rounded.query() == "since=2025-01-17T10%3A00Z&until=2025-01-17T10%3A06Z"


# ------------------------------------------------------------------ the page, without a browser


def test_nothing_of_a_log_is_markup(tmp_path: Path) -> None:
    log = tmp_path / "<b>&hostile.log"
    log.write_bytes(hostile_log())
    with served(log, templates=False) as client:
        client.read(hostile_log().count(b"\n"))
        page = client.get("/").body.decode()
        for attack in ATTACKS:
            if "<" in attack:
                assert attack not in page
        assert "<script>alert" not in page
        policy = client.get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "style=" not in page.replace("color-scheme", "")
        for attribute in ('src="', 'href="'):
            for part in page.split(attribute)[1:]:
                link = part.partition('"')[0]
                assert link.startswith(("assets/", "?", "#", "data:,")), "all of it works below any path"


def test_an_answer_that_is_known_is_not_sent_again(sample: Client) -> None:
    first = sample.get("/panels?range=all")
    assert sample.get("/panels?range=all", If_None_Match=first.headers["etag"]).status == 304
    packed = sample.get("/panels?range=all", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(first.body) / 4


# ------------------------------------------------------------------ the program


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_how_it_ends(number: int, code: int) -> None:
    """By a signal, while somebody listens to events."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(free.getsockname()[1])

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return client.get("/health").status == 200
        return False

    def end() -> None:
        client.until(answers)
        events = client.events()
        next(events)
        os.kill(os.getpid(), number)
        assert len(list(events)) < 100, "the stream ends, too"

    thread = Thread(target=end)
    thread.start()
    ran = invoke("serve", str(SAMPLE), "--listen", f"127.0.0.1:{client.port}")
    thread.join()
    assert ran.returncode == code
    assert f"http://127.0.0.1:{client.port}/".encode() in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_without_sources_it_reads_standard_input() -> None:
    lines = b"".join(
        b'10.0.0.1 - - [17/Jan/2025:12:0%d:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n' % n for n in (0, 0, 1, 3)
    )
    ran = invoke("serve", "-q", "--listen", "127.0.0.1:0", "--alert", "requests > 1", "--fail-fast", stdin=lines)
    assert (ran.returncode, ran.stderr.startswith(b"logstats: FIRING requests > 1")) == (3, True), ran.stderr


def test_an_alert_ends_it_if_that_is_asked(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    line = '10.0.0.1 - - [17/Jan/2025:12:0{}:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
    log.write_text(line.format(0) * 2 + line.format(1) * 5 + line.format(3))
    asked = ["--from-start", "--listen", "127.0.0.1:0", "--alert", "requests > 4", "--fail-fast"]
    ran = invoke("serve", "-q", str(log), *asked)
    assert (ran.returncode, ran.stderr.startswith(b"logstats: FIRING requests > 4")) == (3, True)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra."""
    for name in [name for name in sys.modules if name.startswith("logstats.live.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sse_starlette", None)
    ran = invoke("serve", "-")
    assert ran.returncode == 1
    assert ran.stderr.decode() == "logstats: serve needs the package sse-starlette (pip install 'logstats[serve]')\n"
