"""A report over an archive is the report over the lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logstats import api, schema
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.query import rows
from logstats.archive.query.report import Plan, plan
from logstats.errors import UsageError
from logstats.filters import Filters
from logstats.summaries.statistics import ReportSpec

NOW = datetime(2025, 2, 1, tzinfo=UTC)
Made = tuple[Archive, list[Path]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three days of four formats, events among them, added in several steps and out of order."""
    folder = tmp_path_factory.mktemp("made")
    sources = [*archives.logs_of_three_days(folder), archives.day_of("app.log", 20, folder), events(folder)]
    archive = archives.make(folder / "archive", [sources[3], sources[0]])
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


def rejected(report: dict[str, Any]) -> dict[str, Any]:
    """Without the samples: three of each reason are shown, whichever came first."""
    return {**report, "rejects": report["rejects"]["by_reason"]}


@pytest.mark.parametrize(("since", "until"), RANGES)
def test_every_key_is_the_same(made: Made, since: str | None, until: str | None) -> None:
    lines, held, note = reports(made, since=since, until=until)
    assert list(held) == list(lines)
    for key, value in rejected(lines).items():
        assert rejected(held)[key] == value, key
    assert note.startswith("from an archive: ")


def test_the_first_rejected_lines_are_shown(tmp_path: Path) -> None:
    source = archives.SAMPLES / "combined.log"
    archive = archives.make(tmp_path / "archive", [source])
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
    assert note == "from an archive: all from rows"
    assert rejected(held) == rejected(lines)


def test_rows_give_the_same_as_rollups(made: Made) -> None:
    archive, _ = made
    rollups = api.report(archive=archive.root, now=NOW, over_time=True).to_dict()
    rows = api.report(archive=archive.root, now=NOW, over_time=True, rows=True).to_dict()
    assert rollups.pop("notes") == ["from an archive: everything from rollups"]
    assert rows.pop("notes") == ["from an archive: all from rows"]
    assert rollups == rows


def test_the_note_says_which_parts_came_from_rows(made: Made) -> None:
    *_, note = reports(made, since="2025-01-18T03:30", until="2025-01-18T06:15")
    assert note == (
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


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4 * 86_400), st.integers(1, 2 * 86_400))
def test_any_range_is_the_same(made: Made, start: int, length: int) -> None:
    since = datetime(2025, 1, 17, tzinfo=UTC) + timedelta(seconds=start)
    lines, held, _ = reports(made, since=since, until=since + timedelta(seconds=length))
    assert rejected(held) == rejected(lines)


# -- after days have moved, and gone


def test_the_same_from_every_tier(tmp_path: Path) -> None:
    """Before and after days have moved to warm and cold, and with late lines."""
    sources = archives.logs_of_three_days(tmp_path)
    archive = archives.make(tmp_path / "archive", sources)
    for _ in range(2):
        for options in ({}, {"rows": True}, {"since": "2025-01-17T10:30", "until": "2025-01-18T11:45"}):
            lines, held, _ = reports((archive, sources), **options)  # type: ignore[arg-type]
            assert rejected(held) == rejected(lines)
        archives.move(archive)
    assert {file.tier for file in archive.snapshot().select(tables.LOGS)} == {"hot", "warm", "cold"}


GONE = archives.POLICY + '[delete]\nafter = "40d"\n'


@pytest.fixture
def expired(tmp_path: Path) -> Made:
    """17 January is deleted, a late line of it came afterwards; the 18th is cold."""
    sources = archives.logs_of_three_days(tmp_path)
    archive = archives.make(tmp_path / "archive", sources)
    archives.move(archive, datetime(2025, 2, 27, 12, tzinfo=UTC), GONE)
    late = tmp_path / "late.log"
    late.write_text('10.9.9.9 - - [17/Jan/2025:10:10:10 +0000] "GET /late HTTP/1.1" 200 7 "-" "-" 0.5\n')
    api.add([late], archive.root)
    return archive, [*sources, late]


def test_rollups_outlive_the_rows(expired: Made) -> None:
    lines, held, _ = reports(expired)
    assert rejected(held) == rejected(lines)
    lines, held, _ = reports(expired, since="2025-01-17T03:00", until="2025-01-18T02:30")
    assert rejected(held) == rejected(lines)


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


def test_gone_rows_exit_with_1(expired: Made, run: Any) -> None:
    done = run("report", "--archive", str(expired[0].root), "--since", "2025-01-17T10:05", "-o", "json")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"were deleted" in done.stderr
    assert b"Traceback" not in done.stderr


# -- the command line


def test_the_environment_names_the_archive(made: Made, run: Any) -> None:
    archive, sources = made
    env = {"LOGSTATS_ARCHIVE": str(archive.root)}
    held = json.loads(run("report", "-o", "json", env=env).stdout)
    assert held["requests"] == api.report(sources).requests
    lines = json.loads(run("report", "-q", "-o", "json", str(sources[0]), env=env).stdout)
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
def test_what_an_archive_cannot_be_asked(made: Made, run: Any, tmp_path: Path, arguments: list[str]) -> None:
    done = run("report", *[a.replace("{archive}", str(made[0].root)) for a in arguments], cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""


def test_no_archive(run: Any, tmp_path: Path) -> None:
    done = run("report", "--archive", str(tmp_path))
    assert done.returncode == 1
    assert b"there is no archive" in done.stderr


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
    archive = archives.make(tmp_path / "archive", [])
    assert list(rows.rows(archive)) == []
    assert api.report(archive=archive.root).requests == 0
    with pytest.raises(UsageError):
        api.report(archive=archive.root, since="2025-01-18", until="2025-01-17")
