"""W3C extended logs: #Fields decides, also in mid-file and from chunk to chunk; held against a slow reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import logstats
from logstats import api
from logstats.archive.create import init as make
from logstats.formats.detection.detect import Detector
from logstats.formats.engines.w3c import W3C, in_force
from logstats.formats.registry import builtin
from logstats.formats.text import Context, Text
from logstats.pipeline import Counts

NAMES = ["c-ip", "cs-method", "cs-uri-stem", "sc-status", "time-taken", "x-other"]


def reference(lines: list[str], names: list[str]) -> list[dict[str, str]]:
    """What every data line says, for lines without quotes: a dict by column name. Slow and obvious."""
    found = []
    for line in lines:
        if line.startswith("#Fields:"):
            names = line.removeprefix("#Fields:").split()
        elif line and not line.startswith("#"):
            values = line.split("\t") if "\t" in line else line.split()
            if names and len(values) >= len(names):
                found.append(dict(zip(names, values, strict=False)))
    return found


VALUE = st.text("abc-/.:0", min_size=1, max_size=4)
LINE = st.lists(VALUE, min_size=1, max_size=8).flatmap(
    lambda values: st.sampled_from([" ", "\t", "  "]).map(lambda s: s.join(values))
)
FIELDS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True).map(
    lambda names: "#Fields: " + " ".join(names)
)


@settings(max_examples=200, deadline=None)
@example(["#Fields: x-other", "a", "b", "c", "#Fields: c-ip", "1.2.3.4"], False)
@given(st.lists(LINE | FIELDS | st.sampled_from(["", "#Version: 1.0"]), min_size=1, max_size=20), st.booleans())
def test_columns_are_those_of_the_directive(lines: list[str], begun: bool) -> None:
    keys = {
        "c-ip": "client_ip",
        "cs-method": "method",
        "cs-uri-stem": "path",
        "sc-status": "status",
        "time-taken": "duration",
    }
    form = builtin()["iis"]
    engine = W3C("", form.fields, list(keys.values()))
    directives = "#Fields: c-ip sc-status" if begun else ""
    tokens = engine(Text.from_bytes("\n".join(lines).encode(), context=Context(directives)))
    expected = [
        {role: row.get(name) for name, role in keys.items()}
        for row in reference(lines, ["c-ip", "sc-status"] if begun else [])
    ]
    assert tokens.fields.sort("line").select(*keys.values()).to_dicts() == expected


def two_layouts(rows: int) -> list[str]:
    """IIS as it starts anew every few lines, now with another set of columns."""
    lines = []
    for i in range(rows):
        if i % 50 == 0:
            lines += ["#Software: Microsoft Internet Information Services 10.0", "#Date: 2025-01-17 00:00:00"]
            if i % 100:
                lines.append("#Fields: date time cs-method cs-uri-stem sc-status time-taken")
            else:
                lines.append("#Fields: time sc-status time-taken cs-uri-stem cs-method c-ip")
        second = f"{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}"
        if i // 50 % 2:
            lines.append(f"2025-01-17 {second} GET /{i} 200 {i}")
        else:
            lines.append(f"{second} 404 {i} /{i} HEAD 192.0.2.1")
    return lines


@pytest.mark.parametrize("chunk", [1 << 23, 4_000, 100])
def test_fields_change_in_mid_file(tmp_path: Path, chunks_of: Callable[[int], None], chunk: int) -> None:
    chunks_of(chunk)
    path = tmp_path / "u_ex250117.log"
    path.write_text("\r\n".join(two_layouts(600)) + "\r\n")
    counts = Counts()
    rows = [row for frame in logstats.read(path, counts=counts) for row in frame.to_dicts()]
    assert counts.sources[0].format == "iis"
    assert counts.rejected == 0
    for i, row in enumerate(rows):
        new = i // 50 % 2
        assert (row["path"], row["status"], row["method"]) == (f"/{i}", 200 if new else 404, "GET" if new else "HEAD")
        assert row["duration_ms"] == i
        assert row["timestamp"].strftime("%Y-%m-%d %H:%M:%S") == f"2025-01-17 00:{i // 60:02d}:{i % 60:02d}"


def test_an_archive_reads_on_with_the_directives_in_force(tmp_path: Path) -> None:
    """The second half of a file has no #Fields of its own: the archive remembers them."""
    lines = [
        "#Fields: date time sc-status cs-method cs-uri-stem",
        *(f"2025-01-17 00:00:{i:02d} 200 GET /{i}" for i in range(20)),
    ]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines[:11]) + "\n")
    make(tmp_path / "archive")
    assert api.add(path, tmp_path / "archive").counts.requests == 10
    path.write_text("\n".join(lines) + "\n")
    added = api.add(path, tmp_path / "archive")
    assert (added.counts.requests, added.counts.rejected) == (10, 0)


def test_time_taken_in_seconds_or_milliseconds(tmp_path: Path) -> None:
    def durations(text: str) -> list[Any]:
        path = tmp_path / "a.log"
        path.write_text(f"#Fields: date time cs-method cs-uri sc-status time-taken\n{text}")
        return [ms for frame in logstats.read(path) for ms in frame["duration_ms"].to_list()]

    assert durations("2025-01-17 10:00:00 GET / 200 15\n2025-01-17 10:00:00 GET / 200 0\n") == [15.0, 0.0]
    assert durations("2025-01-17 10:00:00 GET / 200 0.015\n2025-01-17 10:00:00 GET / 200 1.000\n") == [15.0, 1000.0]


@pytest.mark.parametrize("beside", ["before", "behind", "in turn", ""])
@pytest.mark.parametrize("line", ["192.0.2.9 GET /w 404 UA 0.5", '192.0.2.9  GET   "/w"   404   "a ""b"" c"   0.5'])
def test_columns_without_a_time_are_requests_without_one(tmp_path: Path, beside: str, line: str) -> None:
    """`#Date` says when the lines after it began, which is no line's time."""
    fields = "#Fields: c-ip cs-method cs-uri-stem sc-status cs(User-Agent) time-taken"
    own, other = [line] * 120, ['192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5'] * 120
    lines = {
        "before": [*other, *own],
        "behind": [*own, *other],
        "in turn": [one for both in zip(own, other, strict=True) for one in both],
        "": own,
    }[beside]
    path = tmp_path / "a.log"
    path.write_text("\n".join(["#Date: 2025-01-17 10:00:00", fields, *lines]))
    report = logstats.report(path)
    assert (report.requests, report.rejected, report.untimed) == (len(lines), 0, 120)
    assert report.to_dict()["status"] == {"404": 120, **({"200": 120} if beside else {})}


# ------------------------------------------------------------------ who writes the lines

# Headers as these products begin a file, in their order; how they write 125 ms, and what a line of theirs holds.
COMMON = "date time cs-method cs-uri-stem sc-status time-taken"
WRITERS = {
    "IIS": (
        ["#Software: Microsoft Internet Information Services 10.0", "#Version: 1.0", "#Date: 2025-01-17 10:00:00"],
        "125",
        [],
    ),
    "Kestrel": (["#Version: 1.0", "#Start-Date: 2025-01-17 10:00:00"], "125.0625", []),
    "WebLogic": (
        ["#Version:\t1.0"],
        "0.125",
        ["#Software:\tWebLogic", "#Start-Date:\t2025-01-17\t10:00:00"],
    ),
    "Tomcat": ([], "0.125", ["#Version: 2.0", "#Software: Apache Tomcat/9.0.98"]),
    "draft": ([], "0.125", []),
    "Draft": ([], "0.125", ["#Version: 1.0"]),  # whose version stands behind
}


def written_by(writer: str, columns: str = COMMON, lines: int = 60) -> list[str]:
    """A header and some lines."""
    before, taken, behind = WRITERS[writer]
    values = {
        "date": "2025-01-17",
        "time": "10:30:00",
        "cs-method": "GET",
        "cs-uri-stem": f"/{writer}",
    }
    values |= {"sc-status": "200", "time-taken": taken, "c-ip": "192.0.2.9", "sc-win32-status": "64"}
    line = " ".join(values[name] for name in columns.split())
    return [*before, f"#Fields: {columns}", *behind, *[line] * lines]


def durations_by_path(path: Path) -> set[tuple[str, float]]:
    frames = logstats.read(path, columns=["path", "duration_ms"])
    return {(row["path"], row["duration_ms"]) for frame in frames for row in frame.to_dicts()}


@pytest.mark.parametrize("chunk", [1 << 23, 350])
@pytest.mark.parametrize("second", [*WRITERS])
@pytest.mark.parametrize("first", [*WRITERS])
def test_the_unit_is_that_of_whoever_writes_the_lines(
    tmp_path: Path, chunks_of: Callable[[int], None], first: str, second: str, chunk: int
) -> None:
    """Logs of two products one after the other, twice, as in `cat *.log`."""
    chunks_of(chunk)
    path = tmp_path / "a.log"
    path.write_text("\n".join([*written_by(first, lines=20), *written_by(second, lines=20)] * 2))
    counts = Counts()
    rows = [row for frame in logstats.read(path, counts=counts) for row in frame.to_dicts()]
    assert (counts.requests, counts.rejected) == (80, 0)
    assert {(row["path"], row["duration_ms"]) for row in rows} == {
        (f"/{writer}", 125.0625 if writer == "Kestrel" else 125.0) for writer in (first, second)
    }


@pytest.mark.parametrize("chunk", [1 << 23, 700])
def test_whole_numbers_in_other_columns_are_not_of_who_writes_seconds(
    tmp_path: Path, chunks_of: Callable[[int], None], chunk: int
) -> None:
    """No directive says who writes; the columns do."""
    chunks_of(chunk)
    other = "time sc-status c-ip cs-method cs-uri-stem time-taken"
    iis = [line for line in written_by("IIS", other) if not line.startswith(("#Software", "#Version"))]
    path = tmp_path / "a.log"
    path.write_text("\n".join([*written_by("draft"), *iis, *written_by("draft")]))
    assert durations_by_path(path) == {("/draft", 125.0), ("/IIS", 125.0)}
    same = [line.replace("0.125", text) for text in ("0.125", "1", "2") for line in written_by("draft", lines=1)]
    path.write_text("\n".join(same))  # a server that was begun anew, and leaves zeros out
    assert durations_by_path(path) == {("/draft", 125.0), ("/draft", 1000.0), ("/draft", 2000.0)}


def test_whole_numbers_before_and_behind_other_columns_may_be_seconds() -> None:
    """They are read as IIS's milliseconds, which is said."""
    lines = [*written_by("draft"), *written_by("draft", "date time cs-method c-ip cs-uri-stem sc-status time-taken")]
    found = Detector(builtin().values()).detect(line.replace("0.125", str(n % 3)) for n, line in enumerate(lines))
    assert found is not None
    assert found.rival is not None
    assert {found.name, found.rival.stack.name} == {"iis", "w3c"}


def test_the_codes_of_windows_are_iis_whose_unit_is_not_in_doubt() -> None:
    """A header that a rotation or `tail` cut off said so, too; a time that is missing says nothing of the unit."""
    lines = written_by("draft", "date time c-ip cs-method cs-uri-stem sc-status sc-win32-status time-taken", 40)
    found = Detector(builtin().values()).detect(
        line.replace("0.125", ("15", "0", "-")[n % 3]) for n, line in enumerate(lines)
    )
    assert found is not None
    assert (found.name, found.rival, found.open_units) == ("iis", None, ())


def test_an_archive_knows_who_writes_the_lines_that_are_added_later(tmp_path: Path) -> None:
    path, root = tmp_path / "a.log", make(tmp_path / "archive").root
    lines = [*written_by("Tomcat"), *written_by("IIS"), *written_by("Kestrel")]
    for number in (40, 90, 110, 150, 170, len(lines)):
        path.write_text("".join(f"{line}\n" for line in lines[:number]))
        added = api.add(path, root)
        assert added.counts.rejected == 0
    latency = logstats.report(archive=root).to_dict()["latency_ms"]
    assert (latency["count"], latency["min"], latency["max"]) == (180, 125.0, 125.0625)


DIRECTIVE = st.sampled_from(
    """#Fields: time c-ip|#Fields: date time|#Fields: c-ip|#Software: Microsoft IIS|#Software: Tomcat|#Version: 1.0
#Start-Date: 2025-01-17|#Date: 2025-01-17|#Date: 2025-01-18|#Remark: x|192.0.2.1 10:30:00""".replace("\n", "|").split(
        "|"
    )
)


@given(st.lists(DIRECTIVE, max_size=12), st.lists(DIRECTIVE, max_size=12))
def test_directives_are_in_force_wherever_a_chunk_ends(one: list[str], two: list[str]) -> None:
    before = in_force("", "\n".join(one))
    assert in_force(before, "") == before
    assert in_force(before, "\n".join(two)) == in_force("", "\n".join([*one, *two]))


# ------------------------------------------------------------------ lines that are as many words


@pytest.mark.parametrize("way", ["behind", "in turn"])
@pytest.mark.parametrize(
    "text",
    [
        '2025-01-17 10:30:01,250 - uvicorn.access - INFO - 192.0.2.7:5 - "POST /u HTTP/1.1" 202',
        "2025-01-17 10:30:01.250 - jobs.worker - INFO - took a job",
    ],
)
def test_words_that_say_nothing_of_a_request_are_none(tmp_path: Path, way: str, text: str) -> None:
    own = "2025-01-17 10:30:00 GET /w 404 192.0.2.9 0.5"
    each = [own, text] * 150 if way == "in turn" else [own] * 150 + [text] * 150
    path = tmp_path / "a.log"
    path.write_text("\n".join(["#Fields: date time cs-method cs-uri sc-status c-ip time-taken", *each]))
    report = logstats.report(path)
    asked = {"202": 150} if "POST" in text else {}
    assert report.to_dict()["status"] == {"404": 150, **asked}
    assert report.requests == 150 * (1 + len(asked))


def test_a_request_without_method_and_status_is_one_if_it_has_a_target(tmp_path: Path) -> None:
    """As http.sys logs what it drops before IIS sees it."""
    path = tmp_path / "a.log"
    lines = [f"2025-01-17 10:30:00 192.0.2.9 {rest}" for rest in ("GET /a 400", "- /b -", "- - -", "- b -")]
    path.write_text("\n".join(["#Fields: date time c-ip cs-method cs-uri sc-status", *lines * 20]))
    report = logstats.report(path)
    assert (report.requests, report.rejected) == (60, 20)
