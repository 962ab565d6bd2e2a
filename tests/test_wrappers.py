"""Lines inside lines: wrappers are found, taken off, nested; partial lines are joined, missing years found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats.pipeline import Counts

COMBINED = [
    f'192.0.2.{i} - - [17/Jan/2025:10:30:{i:02d} +0000] "GET /{i} HTTP/1.1" 200 {i} "-" "a \\"b\\" é"'
    for i in range(40)
]
UNTIMED = [f"GET /{i} 200 1.5 ms - {i}" for i in range(40)]  # morgan dev


def read(path: Path, lines: Sequence[str], **options: Any) -> tuple[list[dict[str, Any]], Counts]:
    path.write_bytes(("\n".join(lines) + "\n").encode())
    counts = Counts()
    frames = list(logstats.read(path, counts=counts, **options))
    return [row for frame in frames for row in frame.to_dicts()], counts


def docker(line: str, number: int = 0) -> str:
    entry = {"log": f"{line}\n", "stream": "stdout", "time": f"2025-01-17T10:30:{number:02d}.5Z"}
    return json.dumps(entry, ensure_ascii=number % 2 == 0)


WRAPPED = {
    "docker_json": docker,
    "cri": lambda line, number: f"2025-01-17T12:30:{number:02d}.500000000+02:00 stdout F {line}",
    "syslog": lambda line, number: f"<134>2025-01-17T11:30:{number:02d}.5+01:00 web1 nginx[7]: {line}",
    "syslog5424": lambda line, number: f'<134>1 2025-01-17T10:30:{number:02d}.5Z web1 nginx 7 - [x@1 a="\\]"] {line}',
    "compose": lambda line, number: f"\x1b[36mweb-1  | \x1b[0m{line}",
    "timestamped": lambda line, number: f"2025-01-17T10:30:{number:02d}.500000000Z {line}",
    "journal_json": lambda line, number: json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(1737109800500000 + number * 1000000),
            "SYSLOG_IDENTIFIER": "nginx",
            "MESSAGE": line,
        }
    ),
    "json_message": lambda line, number: json.dumps(
        {"@timestamp": f"2025-01-17T10:30:{number:02d}.5Z", "message": line, "service": {"name": "nginx"}}
    ),
    "kubectl_prefix": lambda line, number: f"[pod/web-6d4-abc/nginx] {line}",
    "stern": lambda line, number: f"web-6d4-abc nginx {line}",
    "aws_logs_tail": lambda line, number: f"2025-01-17T10:30:{number:02d}.500000+00:00 ecs/web/0a1b {line}",
    "logcli": lambda line, number: f'2025-01-17T10:30:{number:02d}.5Z {{app="nginx"}} {line}',
    "indented": lambda line, number: f"  {line}",
    "heroku": lambda line, number: f"2025-01-17T10:30:{number:02d}.5+00:00 app[web.1]: {line}",
}


UNTIMED_WRAPPERS = {"compose", "kubectl_prefix", "stern", "indented"}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_wrapped_lines_are_the_lines(tmp_path: Path, name: str) -> None:
    plain, _ = read(tmp_path / "plain.log", COMBINED)
    wrapped, counts = read(tmp_path / "a.log", [WRAPPED[name](line, i) for i, line in enumerate(COMBINED)])
    assert [source.format for source in counts.sources] == [f"{name}/combined"]
    for one, other in zip(plain, wrapped, strict=True):
        assert other["app_name"] in (None, "nginx", "web-1")
        assert {**other, "source": one["source"], "app_name": None} == one


@pytest.mark.parametrize(
    "front",
    [
        "INFO:werkzeug:",
        "[2025-01-17 10:30:00 +0000] [12] [INFO] ",
        "2025-01-17 10:30:00,250 - gunicorn.access - INFO - ",
        "2025-01-17 10:30:00,250 [INFO] werkzeug: ",
        "[2025-01-17 10:30:00] [INFO    ] [gunicorn.access:12] ",
        "[2025-01-17 10:30:00] info: ",
        "2025-01-17 10:30:00,123 INFO  [io.quarkus.http.access-log] (executor-thread-1) ",
    ],
)
def test_the_level_in_front_is_the_logged_level(tmp_path: Path, front: str) -> None:
    """A level that is logged comes before one that a status suggests, in the line or around it."""
    missing = [line.replace('" 200 ', '" 404 ') for line in COMBINED]
    rows, _ = read(tmp_path / "a.log", [front + line for line in missing])
    assert {(row["level"], row["status"]) for row in rows} == {("INFO", 404)}
    rows, _ = read(tmp_path / "b.log", missing)
    assert {row["level"] for row in rows} == {"WARN"}


def test_the_level_of_an_object_is_that_of_the_line_in_it(tmp_path: Path) -> None:
    objects = [json.dumps({"level": "info", "message": line.replace('" 200 ', '" 500 ')}) for line in COMBINED]
    rows, _ = read(tmp_path / "a.log", objects)
    assert {(row["kind"], row["level"], row["status"]) for row in rows} == {("request", "INFO", 500)}


@pytest.mark.parametrize("number", [40, 4000])  # of many, those that no template reads are DuckDB's first
def test_journald_writes_what_it_cannot_print_as_bytes(tmp_path: Path, number: int) -> None:
    """A field that is not printable text is a list of its bytes (systemd's Journal Export Formats, the JSON format)."""

    def entry(place: int, line: str) -> str:
        message = [
            line,
            [*f"\x1b[32m{line}\x1b[0m".encode()],
            [*line.replace("é", "\udcff").encode("utf-8", "surrogateescape")],
        ]
        return json.dumps({"__REALTIME_TIMESTAMP": "1737109800500000", "MESSAGE": message[place % 3]})

    rows, counts = read(tmp_path / "a.log", [entry(i, COMBINED[i % 40]) for i in range(number)])
    assert [source.format for source in counts.sources] == ["journal_json/combined"]
    assert counts.rejected == 0
    agents = ['a \\"b\\" é', 'a \\"b\\" é', 'a \\"b\\" \\xff']
    assert [(row["path"], row["user_agent"]) for row in rows] == [(f"/{i % 40}", agents[i % 3]) for i in range(number)]
    # A list of anything else is no message, and one that is left out (it is too long) none either.
    odd = ['{"MESSAGE":[1,300]}', '{"MESSAGE":["a","b"]}', '{"MESSAGE":null}', '{"MESSAGE":[]}']
    _, counts = read(tmp_path / "a.log", [*map(entry, range(40), COMBINED), *odd])
    assert (counts.requests, counts.rejected + counts.ignored) == (40, len(odd))


@pytest.mark.parametrize("name", [name for name in WRAPPED if name not in UNTIMED_WRAPPERS])
def test_a_wrapper_says_the_time_that_the_line_does_not(tmp_path: Path, name: str) -> None:
    rows, counts = read(tmp_path / "a.log", [WRAPPED[name](line, i) for i, line in enumerate(UNTIMED)])
    assert [source.format for source in counts.sources] == [f"{name}/morgan_dev"]
    assert [row["timestamp"] for row in rows] == [
        datetime(2025, 1, 17, 10, 30, i, 500_000, tzinfo=UTC) for i in range(40)
    ]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [("docker_json", "syslog"), ("journal_json", "timestamped"), ("cri", "compose"), ("kubectl_prefix", "timestamped")],
)
def test_wrappers_nest(tmp_path: Path, outer: str, inner: str) -> None:
    lines = [WRAPPED[outer](WRAPPED[inner](line, i), i) for i, line in enumerate(COMBINED)]
    rows, counts = read(tmp_path / "a.log", lines)
    assert [source.format for source in counts.sources] == [f"{outer}/{inner}/combined"]
    assert [row["path"] for row in rows] == [f"/{i}" for i in range(40)]


def test_quotes_around_every_line(tmp_path: Path) -> None:
    rows, counts = read(tmp_path / "a.log", [f'"{line}"' for line in COMBINED])
    assert counts.sources[0].format == "quotes/combined"
    assert rows[3]["user_agent"] == 'a \\"b\\" é'


def test_colours_are_taken_out(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "a.log", [f"\x1b[0mGET /{i} \x1b[32m200\x1b[0m 1.500 ms - 5\x1b[0m" for i in range(9)])
    assert [(row["path"], row["status"], row["duration_ms"]) for row in rows] == [(f"/{i}", 200, 1.5) for i in range(9)]


def test_lines_that_are_not_wrapped_are_read_as_they_are(tmp_path: Path) -> None:
    lines = [docker(line) if i % 3 else line for i, line in enumerate(COMBINED)]
    rows, counts = read(tmp_path / "a.log", lines)
    assert len(rows) == len(COMBINED)
    assert counts.rejected == 0


def test_a_named_format_is_found_inside_wrappers(tmp_path: Path) -> None:
    lines = [WRAPPED["cri"](line, i) for i, line in enumerate(COMBINED)]
    for format in ("combined", "cri/combined"):
        rows, counts = read(tmp_path / "a.log", lines, format=format)
        assert (len(rows), counts.sources[0].format) == (40, "cri/combined")
    definition = (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_x" "$http_user_agent"'
    )
    rows, _ = read(tmp_path / "a.log", lines, log_format=definition)
    assert [row["line"] for row in rows] == list(range(1, 41))


def cri_parts(lines: Sequence[str], size: int = 10) -> tuple[list[str], list[int]]:
    """Lines cut in parts of so many characters, those of two streams mixed, and where each begins."""
    out: list[str] = []
    begins = []
    for number in range(0, len(lines), 2):
        streams = {
            name: [lines[number + i][at : at + size] for at in range(0, len(lines[number + i]), size)]
            for i, name in enumerate(("stdout", "stderr"))
        }
        begins += [len(out) + 1, len(out) + 2]
        while streams["stdout"] or streams["stderr"]:
            for name, parts in streams.items():
                if parts:
                    part = parts.pop(0)
                    out.append(f"2025-01-17T10:30:00.5Z {name} {'P' if parts else 'F'} {part}")
    return out, begins


@pytest.mark.parametrize("chunk", [1 << 23, 5_000, 64])
def test_partial_lines_are_joined(tmp_path: Path, chunks_of: Callable[[int], None], chunk: int) -> None:
    chunks_of(chunk)
    lines, begins = cri_parts(COMBINED)
    rows, counts = read(tmp_path / "a.log", lines)
    assert [(row["path"], row["line"]) for row in rows] == [(f"/{i}", line) for i, line in enumerate(begins)]
    assert (counts.lines, counts.requests, counts.rejected, counts.ignored) == (len(lines), 40, 0, len(lines) - 40)


@pytest.mark.parametrize("chunk", [1_000, 3_000, 5_000, 7_000])
def test_a_line_in_parts_whose_format_begins_far_down_is_whole_wherever_a_chunk_ends(
    tmp_path: Path, chunks_of: Callable[[int], None], chunk: int
) -> None:
    """A program's own lines first, more than are looked at to find a format; then CRI, each second line in parts."""
    line = '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /{n} HTTP/1.1" 200 5 "-" "curl/8.5.0"'
    before = [f"starting, step {n} of many" for n in range(150)]
    parts = []
    for n in range(200):
        text = line.format(n=n)
        for mark, part in [("P", text[:40]), ("F", text[40:])] if n % 2 else [("F", text)]:
            parts.append(f"2025-01-17T10:30:00.123456789Z stdout {mark} {part}")
    (tmp_path / "a.log").write_text("".join(f"{text}\n" for text in [*before, *parts]))
    chunks_of(chunk)
    found = [path for rows in logstats.read(tmp_path / "a.log") for path in rows["path"].to_list()]
    assert found == [f"/{n}" for n in range(200)]


@pytest.mark.parametrize("chunk", [1 << 23, 3_000])
@pytest.mark.parametrize("size", [10, 60])  # characters of a part
def test_lines_all_of_them_in_parts_are_found_behind_other_lines(
    tmp_path: Path, chunks_of: Callable[[int], None], chunk: int, size: int
) -> None:
    chunks_of(chunk)
    before = [f"starting, step {n} of many" for n in range(150)]
    parts, begins = cri_parts(COMBINED, size)
    rows, counts = read(tmp_path / "a.log", [*before, *parts])
    assert [(row["path"], row["line"]) for row in rows] == [(f"/{i}", 150 + line) for i, line in enumerate(begins)]
    assert (counts.requests, counts.rejected, counts.sources[0].formats) == (40, 150, ["cri/combined"])


def test_lines_that_docker_cut_are_found_behind_other_lines(tmp_path: Path) -> None:
    before = [f"starting, step {n} of many" for n in range(150)]
    parts = docker_parts([line.replace('"-"', f'"{"y" * 40_000}"') for line in COMBINED[:10]])
    rows, counts = read(tmp_path / "a.log", [*before, *parts])
    assert [row["path"] for row in rows] == [f"/{i}" for i in range(10)]
    assert (counts.rejected, counts.ignored, counts.sources[0].formats) == (150, 20, ["docker_json/combined"])


@pytest.mark.parametrize("cut", [30, -12, None])  # in the middle, where a shorter agent would end, and at the very end
def test_a_line_of_which_the_end_never_comes_is_rejected(tmp_path: Path, cut: int | None) -> None:
    lines = [
        f"2025-01-17T10:30:00.5Z stdout F {COMBINED[0]}",
        f"2025-01-17T10:30:00.5Z stdout P {COMBINED[1][:20]}",
        f"2025-01-17T10:30:00.5Z stdout P {COMBINED[1][20:cut]}",
    ]
    rows, counts = read(tmp_path / "a.log", lines)
    assert (len(rows), counts.rejected) == (1, 2)


def docker_parts(lines: Sequence[str]) -> list[str]:
    """As Docker writes long lines of two streams: texts of 16 KiB in objects of their own, the last with a newline."""
    out: list[str] = []
    for number, line in enumerate(lines):
        texts = [line[at : at + 16384] for at in range(0, len(line), 16384)]
        texts[-1] += "\n"
        stream = ("stdout", "stderr")[number % 2]
        time = "2025-01-17T10:30:00.5Z"
        out.append("\n".join(json.dumps({"log": text, "stream": stream, "time": time}) for text in texts))
    mixed: list[str] = []
    for first, second in zip(out[::2], out[1::2], strict=True):
        left, right = first.split("\n"), second.split("\n")
        mixed += [part for pair in zip(left, right, strict=True) for part in pair]
    return mixed


@pytest.mark.parametrize("chunk", [1 << 23, 20_000])
def test_the_parts_that_docker_cuts_are_joined(tmp_path: Path, chunks_of: Callable[[int], None], chunk: int) -> None:
    chunks_of(chunk)
    long = [line.replace('"-"', f'"{"y" * 40_000}"') for line in COMBINED[:10]]
    lines = docker_parts(long)
    rows, counts = read(tmp_path / "a.log", lines)
    assert [source.format for source in counts.sources] == ["docker_json/combined"]
    assert [row["path"] for row in rows] == [f"/{i}" for i in range(10)]
    assert (counts.lines, counts.requests, counts.rejected, counts.ignored) == (30, 10, 0, 20)
    # One that is cut at the end of the file is rejected, and a short last line without its newline is whole.
    rows, counts = read(tmp_path / "b.log", lines[:-2])
    assert (counts.requests, counts.rejected) == (8, 4)
    rows, counts = read(tmp_path / "c.log", [docker(COMBINED[0]), docker(COMBINED[1]).replace("\\n", "")])
    assert (counts.requests, counts.rejected) == (2, 0)


def test_parts_are_joined_where_two_formats_are_mixed(tmp_path: Path) -> None:
    common = [line.split(' "-"')[0] for line in COMBINED]
    lines, _ = cri_parts([line for pair in zip(COMBINED, common, strict=True) for line in pair])
    rows, counts = read(tmp_path / "a.log", lines, format="cri/combined|cri/common")
    assert (len(rows), counts.rejected, counts.ignored) == (80, 0, len(lines) - 80)


@pytest.mark.parametrize(
    ("written", "modified", "zone", "expected"),
    [
        ("Jan 17 10:30:00", datetime(2025, 1, 20, tzinfo=UTC), "UTC", datetime(2025, 1, 17, 10, 30, tzinfo=UTC)),
        ("Dec 31 23:59:00", datetime(2025, 1, 1, 0, 5, tzinfo=UTC), "UTC", datetime(2024, 12, 31, 23, 59, tzinfo=UTC)),
        ("Jan  1 00:00:01", datetime(2025, 1, 1, 0, 5, tzinfo=UTC), "UTC", datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("Feb 29 12:00:00", datetime(2025, 3, 1, tzinfo=UTC), "UTC", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        # The clock of the writer may be ahead of the file's, and the zone of --tz is that of the writer.
        (
            "Jan  1 00:30:00",
            datetime(2024, 12, 31, 23, 35, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2024, 12, 31, 23, 30, tzinfo=UTC),
        ),
    ],
)  # fmt: skip
def test_a_missing_year_is_that_of_the_file(
    tmp_path: Path, written: str, modified: datetime, zone: str, expected: datetime
) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{written} web1 node[7]: GET /a 200 1.5 ms - 5\n" * 3)
    os.utime(path, (modified.timestamp(), modified.timestamp()))
    rows = [row for frame in logstats.read(path, tz=zone) for row in frame.to_dicts()]
    assert {row["timestamp"] for row in rows} == {expected}


def test_a_wrapper_is_no_format_of_its_own() -> None:
    with pytest.raises(logstats.LogstatsError) as caught:
        logstats.report("x", format="docker_json")
    assert "docker_json/combined" in caught.value.hint
    with pytest.raises(logstats.LogstatsError, match="no wrapper"):
        logstats.report("x", format="common/combined")
