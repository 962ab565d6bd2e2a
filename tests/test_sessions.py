"""`sessions`: against a plain loop over sorted requests, with frames and folders of any size; one client's story."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
import reference
from archives import make
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats import ordered, schema
from logstats.clients import visits
from logstats.clients.summary import summarise
from logstats.pipeline import Interrupt

SAMPLE = ROOT / "sample_logs" / "combined.log"
BEGIN = datetime(2025, 1, 17, 10, tzinfo=UTC)
GAP = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


def frame(requests: list[tuple[str | None, datetime | None]]) -> pl.DataFrame:
    kinds = schema.dtypes()
    rows = [
        {
            "kind": "request",
            "timestamp": t,
            "client_ip": c,
            "method": "GET",
            "path": "/",
            "endpoint": "/",
            "status": 200,
        }
        for c, t in requests
    ]
    return pl.DataFrame(rows, schema={name: kinds[name] for name in visits.needs("auto")})


clients = st.sampled_from(["a", "b", "c"])
minutes = st.integers(0, 300)


@settings(max_examples=60)
@given(st.lists(st.tuples(clients, minutes), max_size=80), st.integers(1, 30), st.integers(1, 9))
def test_cut_as_by_a_plain_loop(requests: list[tuple[str, int]], size: int, batch: int) -> None:
    told = [(client, BEGIN + at * MINUTE) for client, at in requests]
    wanted = reference.sessions(told, GAP)
    for limit in (ordered.LIMIT, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ordered, "LIMIT", limit)
            patch.setattr(ordered, "BATCH", batch)
            left = visits.Left()
            frames = [frame(told[n : n + size]) for n in range(0, len(told), size)]
            found = list(visits.sessions(iter(frames), "auto", GAP, left))
        rows = [row for part in found for row in part.select("client", "start", "end", "requests").rows()]
        assert rows == wanted
        assert not left.untimed + left.unknown
        made = summarise(found, GAP, left)
        assert (made.sessions, made.requests) == (len(wanted), len(told))
        assert made.clients == len({client for client, _ in told})
        assert made.bounces == sum(count == 1 for *_, count in wanted)
        if wanted:
            lengths = sorted((end - start).total_seconds() for _, start, end, _ in wanted)
            assert made.length_s is not None
            assert made.length_s.average == pytest.approx(sum(lengths) / len(lengths))
            median = lengths[(len(lengths) + 1) // 2 - 1]
            assert made.length_s.percentiles["50"] == pytest.approx(median, rel=0.0101)


def test_requests_in_no_session_are_counted() -> None:
    left = visits.Left()
    rows = [("a", BEGIN), (None, BEGIN), ("a", None), (None, None)]
    assert sum(part["requests"].sum() for part in visits.sessions([frame(rows)], "auto", GAP, left)) == 1
    assert (left.untimed, left.unknown) == (2, 1)


def log(path: Path, requests: list[tuple[int, str, str, int]]) -> str:
    """Minutes after ten, client, target, status."""
    times = [(BEGIN + at * MINUTE).strftime("%d/%b/%Y:%H:%M:%S +0000") for at, *_ in requests]
    path.write_text(
        "".join(
            f'{client} - - [{time}] "GET {target} HTTP/1.1" {status} 10 "-" "Firefox"\n'
            for time, (_, client, target, status) in zip(times, requests, strict=True)
        )
    )
    return str(path)


VISITS = [
    (0, "192.0.2.1", "/", 200), (0, "192.0.2.1", "/style.css", 200), (5, "192.0.2.1", "/cart?n=1", 200),
    (6, "192.0.2.1", "/logo.png", 404), (90, "192.0.2.1", "/help", 500), (1, "192.0.2.2", "/", 200),
    (120, "192.0.2.2", "/app.js", 200),
]  # fmt: skip


def test_pages_entries_and_exits(tmp_path: Path) -> None:
    """A page is no asset; a session begins and ends with one if it has any."""
    made = json.loads(invoke("sessions", log(tmp_path / "a.log", VISITS), "-o", "json").stdout)
    assert (made["sessions"], made["clients"], made["requests"], made["pages"]) == (4, 2, 7, 4)
    assert made["bounces"] == 2
    places = {place["endpoint"]: (place["sessions"], place["bounces"]) for place in made["entries"]}
    assert places == {"/": (2, 1), "/help": (1, 1), "/app.js": (1, 0)}
    assert {place["endpoint"] for place in made["exits"]} == {"/cart", "/help", "/", "/app.js"}
    assert made["length_s"]["avg"] == (360 + 0 + 0 + 0) / 4
    rows = list(csv.DictReader(io.StringIO(invoke("sessions", str(tmp_path / "a.log"), "-o", "csv").stdout.decode())))
    assert [(row["client"], row["requests"], row["refused"], row["errors"], row["exit"]) for row in rows] == [
        ("192.0.2.1", "4", "1", "0", "/cart"), ("192.0.2.1", "1", "0", "1", "/help"),
        ("192.0.2.2", "1", "0", "0", "/"), ("192.0.2.2", "1", "0", "0", "/app.js"),
    ]  # fmt: skip


def test_the_story_of_one_client(tmp_path: Path) -> None:
    source = log(tmp_path / "a.log", VISITS)
    made = json.loads(invoke("sessions", source, "--of", "192.0.2.1", "-o", "json").stdout)
    assert (made["requests"], made["sessions_total"]) == (5, 2)
    assert made["status"] == {"200": 3, "404": 1, "500": 1}
    assert made["user_agents"] == {"Firefox": 5}
    first, second = made["sessions"]
    assert [step["target"] for step in first["path"]] == ["/", "/style.css", "/cart?n=1", "/logo.png"]
    assert (first["entry"], first["exit"], first["pages"]) == ("/", "/cart?n=1", 2)
    assert (second["start"], second["end"]) == ("2025-01-17T11:30:00Z", "2025-01-17T11:30:00Z")
    longer = json.loads(invoke("sessions", source, "--of", "192.0.2.1", "--gap", "2h", "-o", "json").stdout)
    assert longer["sessions_total"] == 1
    nobody = invoke("sessions", source, "--of", "192.0.2.9")
    assert (nobody.returncode, b"no request with a time" in nobody.stdout) == (0, True)


def test_every_output_and_an_archive_say_the_same(tmp_path: Path) -> None:
    make(tmp_path / "archive", [SAMPLE])
    of_log = json.loads(invoke("sessions", str(SAMPLE), "-o", "json").stdout)
    of_archive = json.loads(invoke("sessions", "--archive", str(tmp_path / "archive"), "-o", "json").stdout)
    assert of_archive == {**of_log, "notes": []}, "an archive has other rejected lines, elsewhere"
    rows = [json.loads(line) for line in invoke("sessions", str(SAMPLE), "-o", "jsonl").stdout.splitlines()]
    assert len(rows) == of_log["sessions"]
    assert sum(row["requests"] for row in rows) == of_log["requests"]
    out = tmp_path / "s.parquet"
    assert invoke("sessions", str(SAMPLE), "-o", "parquet", "--out", str(out)).returncode == 0
    assert pl.read_parquet(out).height == len(rows)
    for output in ("markdown", "html"):
        assert f"{len(rows)} sessions".encode() in invoke("sessions", str(SAMPLE), "-o", output).stdout
    assert logstats.sessions(SAMPLE).sessions == len(rows)


def test_empty_and_wrong() -> None:
    for output in ("table", "json", "markdown", "jsonl", "csv"):
        assert invoke("sessions", "-o", output).returncode == 0
    assert invoke("sessions", "--gap", "soon").returncode == 2
    assert invoke("sessions", "--of", "x", "-o", "csv").returncode == 2
    assert invoke("sessions", stdin=b"x\ny\n").returncode == 5


def test_figures_of_a_part_say_so(tmp_path: Path) -> None:
    """What was read until Ctrl-C, and what could not be read, stands in every answer about requests."""
    stopped = Interrupt()
    stopped.asked = True
    broken = tmp_path / "a.log"
    broken.write_bytes(SAMPLE.read_bytes())
    for ask in (
        logstats.sessions,
        logstats.scan,
        partial(logstats.story, "192.0.2.1"),
        partial(logstats.limits, limit="5/60s"),
    ):
        assert "interrupted: this is what had arrived until then" in ask([broken], interrupt=stopped).notes
        assert any("3 of 900 lines could not be read" in note for note in ask([broken]).notes)


def test_a_story_says_what_the_agents_are(tmp_path: Path) -> None:
    """By the same columns as `--by browser` and `--by bot`."""
    agents = {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": 2, "GPTBot/1.2": 1}
    path = tmp_path / "a.log"
    with path.open("w") as file:
        for agent, number in agents.items():
            file.write(f'192.0.2.1 - - [17/Jan/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "{agent}"\n' * number)
    frame = pl.concat(logstats.read(path, columns=["user_agent", "browser", "os", "device", "bot"]))
    want = {row["user_agent"]: row for row in frame.drop("source", "line").iter_rows(named=True)}
    made = json.loads(invoke("sessions", str(path), "--of", "192.0.2.1", "-q", "-o", "json").stdout)
    assert made["agents"] == [
        {"requests": number} | {name: value for name, value in want[agent].items() if value is not None}
        for agent, number in agents.items()
    ]
