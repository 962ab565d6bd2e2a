"""`search`: whole lines in order of time, held against grep's behaviour, `parse`, and a sort of all lines in memory."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import logs_of_three_days, make, move
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats import ordered
from logstats.errors import UsageError
from logstats.line_search.chunks import Found, SourceLines
from logstats.line_search.pattern import Pattern
from logstats.pipeline import Interrupt
from logstats.reports.found import LineWriter

SAMPLE = ROOT / "sample_logs" / "combined.log"
BEGIN = datetime(2025, 1, 17, 10, tzinfo=UTC)


def line(second: float, target: str, status: int = 200) -> str:
    time = (BEGIN + timedelta(seconds=second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'192.0.2.1 - - [{time}] "GET {target} HTTP/1.1" {status} 12 "-" "curl/8.5.0"'


def found(*arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> list[str]:
    ran = invoke("search", *arguments, stdin=stdin, cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode().splitlines()


def test_a_text_is_found_as_grep_finds_it() -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    assert found("/api/bugs", str(SAMPLE)) == [text for text in lines if "/api/bugs" in text]
    assert found("-E", r"HTTP/[12]\.0\" 5\d\d", str(SAMPLE)) == [
        t for t in lines if re.search(r'HTTP/[12]\.0" 5\d\d', t)
    ]
    assert found("-i", "MOZILLA/5.0 (x11", str(SAMPLE)) == [t for t in lines if "mozilla/5.0 (x11" in t.lower()]
    assert found("--count", "bot", str(SAMPLE)) == [str(sum("bot" in text for text in lines))]
    assert found("nothing has this", str(SAMPLE)) == []


def test_a_regular_expression_that_is_none() -> None:
    ran = invoke("search", "-E", "(a", str(SAMPLE))
    assert ran.returncode == 2
    assert b"no regular expression" in ran.stderr
    with pytest.raises(UsageError):
        Pattern("a{99999999}", regex=True)


def test_filters_look_at_what_lines_mean(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("\n".join([line(1, "/500", 200), line(2, "/x", 500), "no line with status 500", line(3, "/y", 500)]))
    assert found("--status", "500", str(log)) == [line(2, "/x", 500), line(3, "/y", 500)]
    assert found("/y", "--status", "500", str(log)) == [line(3, "/y", 500)]
    assert found("500", str(log)) == log.read_text().splitlines(), "without filters, any line"
    ran = invoke("search", "--status", "500", "-e", "x", str(log))
    assert b"1 of 4 lines could not be read" in ran.stderr
    assert invoke("search", str(log)).returncode == 0, "a pattern, and standard input"
    assert invoke("search").returncode == 2


def test_filters_over_lines_that_nothing_reads() -> None:
    for command in ("search", "report", "parse"):
        ran = invoke(command, "--status", "500", stdin=b"x\ny\n")
        assert ran.returncode == 5, ran.stderr


def test_sources_are_put_in_order_of_time(tmp_path: Path) -> None:
    """A line without a time stands after the line that it follows."""
    (tmp_path / "a.log").write_text("\n".join([line(1, "/a"), line(5, "/b"), "Traceback /c", line(9, "/d")]) + "\n")
    (tmp_path / "b.log").write_text("\n".join([line(7, "/f"), line(2, "/e"), line(6, "/g")]) + "\n")
    shown = found("/", "-n", "a.log", "b.log", cwd=tmp_path)
    assert [text.split(":", 2)[:2] for text in shown] == [
        ["a.log", "1"], ["b.log", "2"], ["a.log", "2"], ["a.log", "3"], ["b.log", "3"], ["b.log", "1"], ["a.log", "4"],
    ]  # fmt: skip


def test_what_arrives_by_a_pipe_comes_as_it_arrives() -> None:
    lines = [line(9, "/a"), line(1, "/b"), line(5, "/c")]
    assert found("/", stdin="\n".join(lines).encode()) == lines


def test_rows_are_those_of_parse() -> None:
    rows = [json.loads(text) for text in found("-o", "jsonl", "--status", "5xx", str(SAMPLE))]
    ran = invoke("parse", "-q", "--status", "5xx", str(SAMPLE))
    assert [row.pop("text") for row in rows] == found("--status", "5xx", str(SAMPLE))
    assert rows == [json.loads(text) for text in ran.stdout.decode().splitlines()]
    assert len(rows) > 5


def test_bytes_stay_as_they_are_but_on_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(line(1, "/\x1b[2J").encode() + b"\xff needle\r\n")
    assert invoke("search", "needle", str(log)).stdout == log.read_bytes()
    frame = pl.DataFrame({"source": ["a\x1b.log"], "line": [1], "raw": [b"\x1b[2Ja needle \xff\r"]})
    with (tmp_path / "screen").open("wb") as file:
        LineWriter(
            file, places=True, context=False, terminal=True, encoding="utf-8", spans=Pattern("needle").spans
        ).write(frame)
    shown = (tmp_path / "screen").read_text(encoding="utf-8")
    assert shown == "\x1b[2ma\\x1b.log:1:\x1b[0m\\x1b[2Ja \x1b[1;31mneedle\x1b[0m \\xff\n"


texts = st.lists(st.sampled_from("ab"), max_size=30)


@settings(max_examples=200)
@given(texts, st.integers(1, 4), st.lists(st.integers(1, 7), min_size=1, max_size=10))
def test_context_is_that_of_all_lines_at_once(lines: list[str], context: int, sizes: list[int]) -> None:
    """Whatever the chunks: grep -C, as a definition."""
    wanted = {
        near for n, text in enumerate(lines) if text == "a" for near in range(n - context, n + context + 1)
    } & set(range(len(lines)))
    source, shown, start, turn = SourceLines(0, context), [], 0, 0
    while start < len(lines):
        size = sizes[turn % len(sizes)]
        chunk, turn = lines[start : start + size], turn + 1
        inside = [
            n
            for n in range(len(chunk))
            if any(chunk[m] == "a" for m in range(max(n - context, 0), min(n + context + 1, len(chunk))))
        ]
        frame = pl.DataFrame(
            {
                "line": [start + n for n in inside],
                "found": [chunk[n] == "a" for n in inside],
                "raw": [chunk[n].encode() for n in inside],
                "time": [BEGIN + timedelta(seconds=start + n) for n in inside],
            },
            schema={"line": pl.Int64, "found": pl.Boolean, "raw": pl.Binary, "time": pl.Datetime("us", "UTC")},
        )
        raw = [text.encode() for text in chunk]
        last = BEGIN + timedelta(seconds=start + len(chunk) - 1)
        found = Found(chunk.count("a"), frame, BEGIN, last, raw[:context], raw[-context:], start, start + len(chunk))
        shown += source.add(found).select("line", "found", "raw").rows()
        start += size
    assert shown == [(n, lines[n] == "a", lines[n].encode()) for n in sorted(wanted)]


def test_context_in_chunks(tmp_path: Path, chunks_of: Any) -> None:
    log = tmp_path / "a.log"
    lines = [line(n, f"/{'x' if n in (3, 4, 40, 99) else 'y'}") for n in range(100)]
    log.write_text("\n".join(lines) + "\n")
    whole = found("/x", "-C", "2", str(log))
    assert whole == [*lines[1:7], "--", *lines[38:43], "--", *lines[97:]]
    chunks_of(300)
    assert found("/x", "-C", "2", str(log)) == whole


@settings(max_examples=30)
@given(st.lists(st.tuples(st.none() | st.integers(0, 50), st.integers(0, 99)), max_size=60), st.integers(1, 20))
def test_order_with_and_without_a_folder(rows: list[tuple[int | None, int]], size: int) -> None:
    schema = {"time": pl.Datetime("us", "UTC"), "line": pl.Int64}
    frame = pl.DataFrame(
        [(None if s is None else BEGIN + timedelta(seconds=s), n) for s, n in rows], schema=schema, orient="row"
    )
    in_order = sorted(rows, key=lambda row: (row[0] is not None, row[0] or 0, row[1]))
    for limit in (ordered.LIMIT, 1):
        with pytest.MonkeyPatch.context() as patch, ordered.Ordered(("time", "line")) as kept:
            patch.setattr(ordered, "LIMIT", limit)
            for part in frame.iter_slices(size):
                kept.add(part)
            given = [row for part in kept.frames() for row in part.rows()]
        assert given == [(None if s is None else BEGIN + timedelta(seconds=s), n) for s, n in in_order]


def test_an_archive_has_the_same(tmp_path: Path) -> None:
    place = str(tmp_path / "archive")
    assert invoke("archive", "init", place).returncode == 0
    assert invoke("archive", "add", str(SAMPLE), "--archive", place).returncode == 0
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    for words in (["board?sprint"], ["-E", "state=open.*sort"], ["-i", "MOZILLA"], ["--status", "404"]):
        rows = [json.loads(text)["line"] for text in found("-o", "jsonl", *words, "--archive", place)]
        counted = found("--count", *words, "--archive", place)
        of_log = found("-n", *words, str(SAMPLE))
        numbers = {int(text.removeprefix(f"{SAMPLE}:").split(":")[0]) for text in of_log}
        assert set(rows) == numbers
        assert counted == [str(len(numbers))]
        assert len(numbers) > 5 or words[0] == "--status"
    unread = [text for text in lines if "missing" in text or text.count('"') % 2]
    for text in unread[:1]:
        assert found(text[:40], "--archive", place), "rejected lines are looked through, too"
    assert invoke("search", "x", "-C", "1", "--archive", place).returncode == 2


def test_columns_that_a_tier_dropped_are_said(tmp_path: Path) -> None:
    archive = make(tmp_path / "archive", logs_of_three_days(tmp_path))
    before = invoke("search", "curl", "--count", "--archive", str(tmp_path / "archive"))
    move(archive)
    after = invoke("search", "curl", "--count", "--archive", str(tmp_path / "archive"))
    assert b"the cold tier does not keep protocol, query, referer, user_agent" in after.stderr
    assert b"tier" not in before.stderr
    assert int(before.stdout) > int(after.stdout) > 0
    for words, dropped in (
        (["--where", "user_agent contains 'curl'"], b"user_agent"),
        (["--where", "source = 'a'"], b"source"),
    ):
        alone = invoke("search", *words, "--count", "--archive", str(tmp_path / "archive"))
        assert b"the cold tier does not keep " + dropped + b":" in alone.stderr
    assert b"tier" not in invoke("search", "--status", "404", "--count", "--archive", str(tmp_path / "archive")).stderr


def test_rows_that_were_deleted_are_said(tmp_path: Path) -> None:
    archive = make(tmp_path / "archive", logs_of_three_days(tmp_path))
    move(archive, policy='[delete]\nafter = "31d"\n')
    ran = invoke("search", "curl", "--count", "--archive", str(tmp_path / "archive"))
    assert (ran.returncode, b"2025-01-17" in ran.stderr, b"is not found" in ran.stderr) == (1, True, True)
    later = invoke("search", "curl", "--count", "--since", "2025-01-18", "--archive", str(tmp_path / "archive"))
    assert (later.returncode, later.stderr) == (0, b"")


def test_what_is_written_later_is_found(tmp_path: Path) -> None:
    """Over a rotation; lines without the text are not, nor half a line."""
    log = tmp_path / "a.log"
    log.write_text(line(0, "/old/needle") + "\n" + line(1, "/other") + "\n", encoding="utf-8")
    interrupt = Interrupt()
    frames = logstats.search("needle", log, follow=True, interrupt=interrupt)

    def next_lines() -> list[tuple[int, bytes]]:
        return next(frames).select("line", "raw").rows()

    assert next_lines() == [(1, line(0, "/old/needle").encode())]
    with log.open("a", encoding="utf-8") as file:
        file.write(line(3, "/other") + "\n" + line(2, "/new/needle") + "\n" + line(4, "/half/needle"))
    assert next_lines() == [(4, line(2, "/new/needle").encode())]
    with log.open("a", encoding="utf-8") as file:
        file.write("/rest\n")
    log.rename(tmp_path / "a.log.1")
    log.write_text(line(5, "/after/needle") + "\n", encoding="utf-8")
    rest = [*next_lines(), *next_lines()]
    assert rest == [(5, (line(4, "/half/needle") + "/rest").encode()), (1, line(5, "/after/needle").encode())]
    interrupt.asked = True
    assert list(frames) == []


def test_following_ends_with_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(line(0, "/needle/1") + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "logstats", "search", "-f", "--status", "5xx", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        with log.open("a", encoding="utf-8") as file:
            file.write(line(1, "/needle/2", 503) + "\n")
        assert process.stdout.readline().decode() == line(1, "/needle/2", 503) + "\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
        assert process.wait() == 130


def test_what_cannot_be_followed(tmp_path: Path) -> None:
    assert invoke("search", "-f", "--count", "x", str(SAMPLE)).returncode == 2
    make(tmp_path / "archive", [SAMPLE])
    ran = invoke("search", "-f", "x", "--archive", str(tmp_path / "archive"))
    assert (ran.returncode, b"an archive is not followed" in ran.stderr) == (2, True)


@pytest.mark.parametrize("output", ["text", "jsonl"])
@pytest.mark.parametrize("archived", [False, True])
def test_rows_without_persons(output: str, archived: bool, tmp_path: Path) -> None:
    """What is looked for is looked for in the lines as they are; shown are rows, and of other lines that they are."""
    log = tmp_path / "a.log"
    person = '203.0.113.77 - alice [17/Jan/2025:10:00:00 +0000] "GET /a?token=s3cret HTTP/1.1" 200 12 "-" "curl/8.5.0"'
    log.write_text(f"{person}\n{line(1, '/b')}\nno row of 203.0.113.77\n", encoding="utf-8")
    if archived:
        make(tmp_path / "archive", [log])
    where = ["--archive", str(tmp_path / "archive")] if archived else [str(log)]
    ran = invoke("search", "-e", "203.0.113.77", *where, "--anonymize", "ip", "-o", output)
    assert ran.returncode == 0, ran.stderr
    assert not re.search(rb"203\.0\.113\.77|alice|s3cret", ran.stdout)
    assert b"203.0.113.0" in ran.stdout
    assert b"(left out: --anonymize)" in ran.stdout
    assert len(ran.stdout.splitlines()) == 2
    assert b"anonymized: addresses are those of networks" in ran.stderr
    assert invoke("search", "-C", "1", "-e", "/b", str(log), "--anonymize", "ip").returncode == 2
