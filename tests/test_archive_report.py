"""A report over an archive is the report over the lines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

from logstats import api, schema
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.commit import ArchiveError, Commit
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.writer import Workspace
from logstats.archive.query import rows
from logstats.archive.query.report import Plan, plan
from logstats.errors import UsageError
from logstats.filters import Filters
from logstats.summaries.spec import ReportSpec

NOW = datetime(2025, 2, 1, tzinfo=UTC)
Made = tuple[Archive, list[Path]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three days of four formats, events among them, added in several steps and out of order."""
    folder = tmp_path_factory.mktemp("made")
    sources = [*archives.logs_of_three_days(folder), archives.day_of("app.log", 20, folder), events(folder)]
    archive = archives.build(folder / "archive", [sources[3], sources[0]])
    api.add(sources, archive.root)
    return archive, sources


def events(folder: Path) -> Path:
    """Application lines that are no requests, and requests without a duration or with none of a length."""
    path = folder / "events.log"
    lines = [
        {"time": f"2025-01-18T{hour:02}:{minute:02}:30Z", "level": level, "message": f"{level} {minute}"}
        for hour in (3, 4)
        for minute in range(0, 60, 7)
        for level in ("INFO", "ERROR", "DEBUG")
    ]
    for minute in range(60):
        took: dict[str, Any] = [{}, {"duration_ms": 0}, {"duration_ms": -5}, {"duration_ms": 12.5}][minute % 4]
        time = {"time": f"2025-01-18T04:{minute:02}:00.25Z"}
        lines.append({**time, "method": "GET", "path": f"/api/users/{minute}", "status": 500 - minute % 2, **took})  # type: ignore[dict-item]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def reports(made: Made, **options: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The report over the lines, the one over the archive without its last note, and that note."""
    archive, sources = made
    lines = api.report(sources, now=NOW, over_time=True, **options).to_dict()
    rows = {"rows": options.pop("rows")} if "rows" in options else {}
    held = api.report(archive=archive.root, now=NOW, over_time=True, **options, **rows).to_dict()
    order = {source["name"]: number for number, source in enumerate(lines["sources"])}
    held["sources"].sort(key=lambda source: order[source["name"]])
    held["rejects"]["samples"].sort(key=lambda sample: (order[sample["source"]], sample["line"]))
    return lines, held, held["notes"].pop()


RANGES = [
    (None, None),
    ("2025-01-18", "2025-01-19"),
    ("2025-01-17T10:30", "2025-01-19T15:10:30"),
    ("2025-01-18T04:00:00.25", "2025-01-18T05:00"),
    ("2025-01-18T03:10", "2025-01-18T03:20"),
    ("2025-01-18T03:59:59.999999", "2025-01-18T05:00:00.000001"),
    (None, "2025-01-18T04:04"),
    ("2025-01-18T04:04", None),
    ("2025-03-01", "2025-03-02"),
]


# Over a stretch of time an archive counts the lines of that time, where a report over lines counts all that it reads.
OF_THE_TIME = {"lines", "filtered", "rejected", "ignored", "sources", "rejects", "invalid"}


def rejected(report: dict[str, Any]) -> dict[str, Any]:
    """Without the samples: three of each reason are shown, whichever came first."""
    return {**report, "rejects": report["rejects"]["by_reason"]}


def same(held: dict[str, Any], lines: dict[str, Any], *, ranged: bool) -> None:
    """A report from an archive is the one over its lines."""
    left_out = OF_THE_TIME if ranged else set()
    parts = (held["requests"], held["events"], held["rejected"], held["ignored"], held["filtered"])
    assert held["lines"] == sum(parts)
    for key, value in rejected(lines).items():
        if key == "latency_ms" and ranged and value:
            assert {**held[key], "invalid": 0} == {**value, "invalid": 0}
        elif key not in left_out:
            assert rejected(held)[key] == value, key


@pytest.mark.parametrize(("since", "until"), RANGES)
def test_every_key_is_the_same(made: Made, since: str | None, until: str | None) -> None:
    lines, held, note = reports(made, since=since, until=until)
    assert list(held) == list(lines)
    same(held, lines, ranged=bool(since or until))
    assert note.startswith("from an archive: ")


def test_the_first_rejected_lines_are_shown(tmp_path: Path) -> None:
    source = archives.SAMPLES / "combined.log"
    archive = archives.build(tmp_path / "archive", [source])
    lines = api.report([source], now=NOW).to_dict()
    held = api.report(archive=archive.root, now=NOW).to_dict()
    assert held["rejects"] == lines["rejects"]
    assert len(held["rejects"]["samples"]) > 1


@pytest.mark.parametrize(
    "options",
    [
        {"status": ["5xx"]},
        {"path": ["/api/bugs*"], "exclude_method": ["POST"]},
        {"host": ["bugs.example.com"]},
        {"by": ["client_ip", "host", "status"]},
        {"user_key": "ip+agent"},
        {"exact_users": True},
        {"max_endpoints": 20_000},
    ],
)
def test_what_rollups_do_not_tell_apart_comes_from_rows(made: Made, options: dict[str, Any]) -> None:
    lines, held, note = reports(made, since="2025-01-17T10:30", until="2025-01-19T15:10:30", **options)
    assert note.startswith("from an archive: all from rows")
    same(held, lines, ranged=True)


def test_rows_give_the_same_as_rollups(made: Made) -> None:
    archive, _ = made
    rollups = api.report(archive=archive.root, now=NOW, over_time=True).to_dict()
    rows = api.report(archive=archive.root, now=NOW, over_time=True, rows=True).to_dict()
    assert rollups.pop("notes") == ["from an archive: everything from rollups"]
    assert rows.pop("notes") == ["from an archive: all from rows"]
    assert rollups == rows


def test_the_note_says_which_parts_came_from_rows(made: Made) -> None:
    *_, note = reports(made, since="2025-01-18T03:30", until="2025-01-18T06:15")
    assert note.removesuffix("; values without meaning are not known by time, and not counted") == (
        "from an archive: 2025-01-18T04:00:00Z to 2025-01-18T06:00:00Z from rollups; from rows: "
        "2025-01-18T03:30:00Z to 2025-01-18T04:00:00Z, 2025-01-18T06:00:00Z to 2025-01-18T06:15:00Z"
    )


moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC))


@given(moments, st.timedeltas(timedelta(microseconds=1), timedelta(days=3)))
@example(datetime(9999, 12, 31, 23, 30, tzinfo=UTC), timedelta(minutes=5))
@example(datetime(1, 1, 1, 0, 30, tzinfo=UTC), timedelta(hours=1))
def test_a_plan_covers_its_range_once(since: datetime, length: timedelta) -> None:
    """Its parts follow one another without a gap, and rollups begin and end on the hour."""
    if since > datetime.max.replace(tzinfo=UTC) - length:
        return
    until = since + length
    made = plan(ReportSpec(), Filters(since, until))
    spans = sorted([*made.rows, *([made.rollups] if made.rollups else [])])  # type: ignore[type-var]
    assert spans[0][0] == since and spans[-1][1] == until
    assert all(
        former[1] == latter[0] and former[0] < former[1] for former, latter in zip(spans, spans[1:], strict=False)
    )
    if made.rollups:
        assert all(not (end.minute or end.second or end.microsecond) for end in made.rollups if end)
        assert all(start and end and end - start < timedelta(hours=1) for start, end in made.rows)
    else:
        assert length < timedelta(hours=2)


def test_a_plan_without_bounds() -> None:
    assert plan(ReportSpec(), Filters()) == Plan((None, None), ())


@settings(max_examples=examples(4), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4 * 86_400), st.integers(1, 2 * 86_400))
def test_any_range_is_the_same(made: Made, start: int, length: int) -> None:
    since = datetime(2025, 1, 17, tzinfo=UTC) + timedelta(seconds=start)
    lines, held, _ = reports(made, since=since, until=since + timedelta(seconds=length))
    same(held, lines, ranged=True)


# -- after days have moved, and gone


def test_the_same_from_every_tier(tmp_path: Path) -> None:
    """Before and after days have moved to warm and cold, and with late lines."""
    sources = archives.logs_of_three_days(tmp_path)
    archive = archives.build(tmp_path / "archive", sources)
    for _ in range(2):
        for options in ({}, {"rows": True}, {"since": "2025-01-17T10:30", "until": "2025-01-18T11:45"}):
            lines, held, _ = reports((archive, sources), **options)  # type: ignore[arg-type]
            same(held, lines, ranged="since" in options)
        archives.move(archive)
    assert {file.tier for file in archive.snapshot().select(tables.LOGS)} == {"hot", "warm", "cold"}


GONE = archives.POLICY + '[delete]\nafter = "40d"\n'


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """17 January is deleted, a late line of it came afterwards; the 18th is cold."""
    folder = tmp_path_factory.mktemp("expired")
    sources = archives.logs_of_three_days(folder)
    archive = archives.build(folder / "archive", sources)
    archives.move(archive, datetime(2025, 2, 27, 12, tzinfo=UTC), GONE)
    late = folder / "late.log"
    late.write_text('10.9.9.9 - - [17/Jan/2025:10:10:10 +0000] "GET /late HTTP/1.1" 200 7 "-" "-" 0.5\n')
    api.add([late], archive.root)
    return archive, [*sources, late]


def test_rollups_outlive_the_rows(expired: Made) -> None:
    lines, held, _ = reports(expired)
    assert rejected(held) == rejected(lines)
    lines, held, _ = reports(expired, since="2025-01-17T03:00", until="2025-01-18T02:30")
    same(held, lines, ranged=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": True}, "2025-01-17: 897 of 898 rows were deleted"),
        ({"since": "2025-01-17T10:05"}, "2025-01-17: 897 of 898 rows were deleted"),
        ({"status": ["5xx"]}, "2025-01-17: 897 of 898 rows were deleted"),
        ({"since": "2025-01-18", "by": ["user_agent"]}, "2025-01-18: the cold tier does not keep user_agent"),
    ],
)
def test_what_is_gone_is_said(expired: Made, options: dict[str, Any], said: str) -> None:
    with pytest.raises(rows.Gone, match=said):
        api.report(archive=expired[0].root, **options)


def test_gone_rows_exit_with_1(expired: Made) -> None:
    done = invoke("report", "--archive", str(expired[0].root), "--since", "2025-01-17T10:05", "-o", "json")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"were deleted" in done.stderr
    assert b"Traceback" not in done.stderr


# -- the command line


def test_the_environment_names_the_archive(made: Made) -> None:
    archive, sources = made
    env = {"LOGSTATS_ARCHIVE": str(archive.root)}
    held = json.loads(invoke("report", "-o", "json", env=env).stdout)
    assert held["requests"] == api.report(sources).requests
    lines = json.loads(invoke("report", "-q", "-o", "json", str(sources[0]), env=env).stdout)
    assert lines["requests"] == 897  # a source that is named is what is meant


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.log", "--archive", "{archive}"],
        ["--archive", "{archive}", "--format", "combined"],
        ["--archive", "{archive}", "--route", "/users/{id}"],
        ["--archive", "{archive}", "--no-templates"],
        ["--archive", "{archive}", "--rejects", "x"],
        ["a.log", "--rows"],
    ],
)
def test_what_an_archive_cannot_be_asked(made: Made, tmp_path: Path, arguments: list[str]) -> None:
    done = invoke("report", *[a.replace("{archive}", str(made[0].root)) for a in arguments], cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""


def test_no_archive(tmp_path: Path) -> None:
    done = invoke("report", "--archive", str(tmp_path))
    assert done.returncode == 1
    assert b"there is no archive" in done.stderr


@pytest.mark.parametrize("command", ["report", "parse"])
def test_an_archive_is_no_folder_of_logs(made: Made, command: str) -> None:
    """Its policy and its catalog would be read as lines of an unknown format."""
    done = invoke(command, str(made[0].root))
    assert done.returncode == 1
    assert b"is an archive, not a folder of logs" in done.stderr
    assert f"--archive {made[0].root}".encode() in done.stderr


# -- rows


def test_rows_of_a_range(made: Made) -> None:
    """Against the lines, whatever the tier."""
    archive, sources = made
    since, until = datetime(2025, 1, 18, 3, 10, tzinfo=UTC), datetime(2025, 1, 19, 10, 30, tzinfo=UTC)
    lines = pl.concat(api.read(sources, since=since, until=until)).drop("source", "line")
    held = pl.concat(rows.rows(archive, since, until))
    key = [column for column in schema.COLUMNS if column != "extra"]
    assert held.sort(key, nulls_last=True).equals(lines.sort(key, nulls_last=True))
    some = pl.concat(rows.rows(archive.root, since, until, ["status", "path"]))
    assert some.columns == ["status", "path"]
    assert some.height == lines.height


def test_rows_of_nothing(tmp_path: Path) -> None:
    archive = archives.build(tmp_path / "archive", [])
    assert list(rows.rows(archive)) == []
    assert api.report(archive=archive.root).requests == 0
    with pytest.raises(UsageError):
        api.report(archive=archive.root, since="2025-01-18", until="2025-01-17")


# -- what is not a row has a time as well


def line(day: int, minute: int, text: str = "") -> str:
    request = text or f'"GET /{minute} HTTP/1.1" 200 5'
    return f"10.0.0.1 - - [{day:02}/Jan/2025:10:{minute:02}:00 +0000] {request}\n"


def test_a_bad_day_is_not_every_day(tmp_path: Path) -> None:
    """On the 3rd everything is broken; the lines say when. What says nothing goes with the line before it."""
    log = tmp_path / "access.log"
    good = [[line(day, minute) for minute in range(20)] for day in range(1, 6)]
    good[2] = [line(3, minute, '"GET /x HTTP/1.1 200') for minute in range(20)]
    good[3].insert(5, "what is this\n")
    good[4].insert(7, "\n")
    log.write_text("".join(text for day in good for text in day))
    archive = archives.build(tmp_path / "archive", [log])
    found = {}
    for day in range(1, 6):
        report = api.report(archive=archive.root, since=f"2025-01-0{day}", until=f"2025-01-0{day + 1}").to_dict()
        found[day] = (report["lines"], report["requests"], report["rejected"], report["ignored"], report["filtered"])
        assert [source["lines"] for source in report["sources"]] == [report["lines"]]
        assert [source["bytes"] for source in report["sources"]] == [sum(map(len, good[day - 1]))]
        assert sum(report["rejects"]["by_reason"].values()) == report["rejected"]
    assert found == {
        1: (20, 20, 0, 0, 0), 2: (20, 20, 0, 0, 0), 3: (20, 0, 20, 0, 0), 4: (21, 20, 1, 0, 0), 5: (21, 20, 0, 1, 0)
    }  # fmt: skip
    done = invoke(
        "report", "-q", "--archive", str(archive.root), "--since", "2025-01-05", "--fail-if", "rejected > 0.1%"
    )
    assert done.returncode == 0
    done = invoke("report", "-q", "--archive", str(archive.root), "--since", "2025-01-03", "--until", "2025-01-04",
               "--fail-if", "rejected > 0.1%")  # fmt: skip
    assert done.returncode == 5


def test_a_time_that_a_stranger_wrote_moves_no_line(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = [line(1, 0), 'x "GET /?t=[20/Jan/2025:10:00:00 +0000]\n', line(1, 1), line(20, 0)]
    log.write_text("".join(lines[:3]))
    (tmp_path / "later.log").write_text(lines[3] * 3)
    archive = archives.build(tmp_path / "archive", [log, tmp_path / "later.log"])
    assert api.report(archive=archive.root, since="2025-01-20").rejected == 0
    assert api.report(archive=archive.root, until="2025-01-02").rejected == 1


def test_past_the_caps_a_report_is_a_function_of_the_lines(tmp_path: Path) -> None:
    """However they were cut into commits: those with the most requests stay, of equals the first by name."""
    names = ["/" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:04}") for number in range(300)]
    paths = names * 2 + names[250:]
    texts = [line(1 + n % 3, n % 60, f'"GET {path} HTTP/1.1" 200 5') for n, path in enumerate(paths)]
    texts.sort(key=lambda text: text.split("[")[1][:17])
    expected = sorted(Counter(paths).items(), key=lambda item: (-item[1], item[0]))[:120]
    for cuts in (1, 5):
        folder = tmp_path / str(cuts)
        folder.mkdir()
        for number in range(cuts):
            (folder / f"{number}.log").write_text("".join(texts[number::cuts]))
        archive = archives.build(folder / "archive", sorted(folder.glob("*.log")))
        for from_rows in (False, True):
            report = api.report(archive=archive.root, max_endpoints=120, rows=from_rows).to_dict()
            held = {row["endpoint"]: row["requests"] for row in report["endpoints"] if row["endpoint"] != "(other)"}
            assert held == dict(expected)


def test_an_archive_without_counts_of_lines_says_so(tmp_path: Path) -> None:
    """As earlier versions wrote them."""
    archive = archives.build(tmp_path / "archive", [archives.SAMPLES / "combined.log"])
    lines = tuple(file.path for file in archive.snapshot().select(tables.LINES))
    with Workspace(archive) as workspace:
        archive.commit(lambda _: Commit(what="test", removed=lines), workspace.folder)
    whole = api.report(archive=archive.root)
    ranged = api.report(archive=archive.root, since="2025-01-17", until="2025-01-18")
    assert not any("earlier version" in note for note in whole.notes)
    assert "an earlier version added 1 day without counts of lines" in ranged.notes[0]
    assert ranged.requests == whole.requests


def test_among_files_read_together_the_one_that_was_written_wrong_is_named(tmp_path: Path) -> None:
    """Its times are those of another file."""
    log = tmp_path / "access.log"
    log.write_text("".join(line(day, minute) for day in range(1, 6) for minute in range(20)))
    archive = archives.build(tmp_path / "archive", [log])
    wrong = archive.snapshot().select(tables.TRAFFIC)[2]
    held = rows.read(archive, [wrong], list(tables.columns(tables.TRAFFIC)), tables.TRAFFIC)
    with Workspace(archive) as workspace:
        writer = Writer(workspace, tables.TRAFFIC, wrong.partition)
        writer.write(held.with_columns(pl.col("minute") + timedelta(days=1)))
        added = replace(writer.close(), first=wrong.first, last=wrong.last)
        workspace.keep([added])
        archive.commit(lambda _: Commit(what="test", added=(added,), removed=(wrong.path,)), workspace.folder)
    with pytest.raises(ArchiveError, match=rf"{added.path}: minute is 2025-01-04 10:00.* can be 2025-01-03 10:00"):
        api.report(archive=archive.root)
