"""`archive erase`: nothing of a person is left in any file of an archive, and no figure changes but counts of users."""

from __future__ import annotations

import contextvars
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pyarrow.parquet as pq
import pytest
from program import invoke

import logstats
from logstats import api
from logstats.archive import erase
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.log import faults, tables
from logstats.archive.log.orphans import sweep
from logstats.archive.person import ERASED, PERSONAL, Persons
from logstats.archive.query import rows
from logstats.archive.verify import verify
from logstats.errors import LogstatsError, UsageError

LINE = '{ip} - {user} [{day}/Jan/2025:1{h}:00:00 +0000] "GET {path} HTTP/1.1" {status} {size} "{referer}" "{agent}"'
HERS = {"user": "alice@example.com", "ip": "2001:db8::77"}
SPELLINGS = ("2001:db8::77", "2001:0DB8:0:0:0:0:0:77", "2001%3Adb8%3A%3A77", "alice@example.com", "alice%40example.com")
POLICY = """
[warm]
after = "30d"
[cold]
after = "31d"
columns = ["kind", "timestamp", "method", "path", "endpoint", "status", "duration_ms", "bytes", "user_id", "client_ip",
           "host", "level", "app_name"]
"""


def day_of(day: int) -> str:
    """A day of hers and of others: rows, texts of others that name her, and lines that cannot be read."""
    lines = []
    for n in range(6):
        asked = {"day": day, "h": n, "status": (200, 404, 500)[n % 3], "size": 100 * n + day, "agent": f"Agent/{n}"}
        lines += [
            LINE.format(**asked, **HERS, path=f"/cart/{n}?session=x{n}", referer="https://a.example/hers"),
            LINE.format(**asked, user="bob", ip=f"192.0.2.{n}", path="/docs", referer="-"),
            LINE.format(**asked, user="-", ip="198.51.100.7", path=f"/who?name={SPELLINGS[n % 5]}", referer="-"),
            LINE.format(**asked, user="alice", ip="2001:db8::777", path="/profiles/malice@example.com.au", referer="-"),
        ]
    lines.append(LINE.format(**asked, user="x", ip="192.0.2.9", path="/of/alice-x", referer="-"))
    return "\n".join([*lines, "a line of 2001:db8::77 that is no request", "another that is none", ""])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days: cold (without some columns), warm and hot."""
    folder = tmp_path_factory.mktemp("made")
    for day in (17, 18, 19):
        (folder / f"{day}.log").write_text(day_of(day))
    archive = archives.make(folder / "archive", [folder / f"{day}.log" for day in (17, 18, 19)])
    archives.move(archive, policy=POLICY)
    assert {file.tier for file in archive.snapshot().select(tables.LOGS)} == set(tables.TIERS)
    sweep(archive, datetime.now(UTC) + timedelta(days=2))
    return folder / "archive"


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Archive:
    shutil.copytree(made, tmp_path / "archive")
    return Archive.open(tmp_path / "archive")


class Told:
    """What was done."""

    def __init__(self) -> None:
        self.days: list[erase.Erased] = []

    def finished(self, day: erase.Erased) -> None:
        self.days.append(day)

    def failed(self, day: tuple[int, ...], error: LogstatsError) -> None:
        raise error


def erased(archive: Archive, persons: Persons, **how: bool) -> list[erase.Erased]:
    told = Told()
    erase.erase(archive, persons, told, **how)
    return told.days


def held(folder: Path) -> str:
    """All that any file below a folder says: of Parquet the rows, and what its footer says of them; else its bytes."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if data[:4] != b"PAR1":
            found.append(data.decode("utf-8", "replace"))
            continue
        file = pq.ParquetFile(path)
        found += [str(row) for row in file.read().to_pylist()]
        for group in range(file.metadata.num_row_groups):
            for column in range(file.metadata.num_columns):
                found.append(str(file.metadata.row_group(group).column(column).statistics))
    return "\n".join(found)


def figures(archive: Archive, *, rows: bool = False) -> dict[str, Any]:
    """What a report says, but for users, and for texts that name her."""
    report = json.loads(logstats.report(archive=archive.root, rows=rows).to_json())
    kept = {name: report[name] for name in ("requests", "events", "bytes", "status", "minutes", "rejected", "time")}
    endpoints = {row["endpoint"].replace("alice-x", ERASED): row["requests"] for row in report["endpoints"]}
    return {**kept, "endpoints": endpoints, "reasons": report["rejects"]["by_reason"]}


HER = Persons.named([HERS["user"], "alice-x"], [HERS["ip"]])
NAMES = (
    "alice@example.com",
    "alice-x",
    "alice%40example.com",
    "2001:db8::77 ",
    "2001:db8::77'",
    "2001%3Adb8%3A%3A77",
    "/hers",
)


def test_nothing_of_her_is_left_and_all_else_is(archive: Archive) -> None:
    before, text = figures(archive), held(archive.root)
    assert all(name in text for name in NAMES)
    days = erased(archive, HER)
    assert [(day.date, day.tiers, day.rows, day.mentions, day.rejects, day.endpoints) for day in days] == [
        ("2025-01-17", ("cold",), 6, 1, 1, 1),  # the cold tier keeps no query: only the endpoint names her
        ("2025-01-18", ("warm",), 6, 7, 1, 1),
        ("2025-01-19", ("hot",), 6, 7, 1, 1),
    ]
    assert all(day.users == "made again" and not day.left for day in days)
    assert figures(archive) == figures(archive, rows=True) == before
    assert [finding.what for finding in verify(archive, deep=True) if not finding.note] == []
    sweep(archive, datetime.now(UTC), timedelta(0))
    text = held(archive.root)
    assert [name for name in NAMES if name in text.replace("malice@example.com.au", "")] == []
    assert all(
        name in text for name in ("bob", "malice@example.com.au", "2001:db8::777", "another that is none", "/docs")
    )
    assert erased(archive, HER) == []


def test_her_rows_are_requests_of_nobody(archive: Archive) -> None:
    columns = ["timestamp", "method", "status", "bytes", "endpoint", *PERSONAL]
    since = datetime(2025, 1, 18, tzinfo=UTC)
    before = pl.concat(rows.rows(archive, since, columns=columns))
    erased(archive, HER)
    after = pl.concat(rows.rows(archive, since, columns=columns))
    theirs = (before["user_id"] == HERS["user"]).fill_null(value=False)
    for name in columns:
        expected = pl.Series([None] * int(theirs.sum()), dtype=before[name].dtype) if name in PERSONAL else before[name]
        assert after[name].filter(theirs).equals(expected.filter(theirs) if name not in PERSONAL else expected), name
    bob = before["user_id"] == "bob"
    assert after.filter(bob).equals(before.filter(bob))


def test_users_are_counted_again_from_the_rows(archive: Archive) -> None:
    users = lambda: logstats.report(archive=archive.root).unique_users.total  # noqa: E731
    exact = lambda: logstats.report(archive=archive.root, exact_users=True).unique_users.total  # noqa: E731
    assert users() == exact()
    before = exact()
    erased(archive, HER)
    assert users() == exact() == before - 1


def test_a_dry_run_says_the_same_and_changes_nothing(archive: Archive) -> None:
    contents = archives.contents(archive.root)
    place = [
        "--archive",
        str(archive.root),
        "--user",
        HERS["user"],
        "--user",
        "alice-x",
        "--ip",
        "2001:0db8::0077",
        "-o",
        "json",
    ]
    dry = json.loads(invoke("archive", "erase", *place, "--dry-run").stdout)
    assert archives.contents(archive.root) == contents
    ran = invoke("archive", "erase", *place)
    assert (ran.returncode, json.loads(ran.stdout)["days"]) == (0, dry["days"])
    assert b"lies aside until" in ran.stderr and HERS["user"].encode() not in ran.stdout + ran.stderr
    assert invoke("archive", "erase", *place[:-2]).stdout == b"nothing of them is in the archive\n"
    old = [path for path in archives.contents(archive.root) if path.endswith(".old")]
    assert old  # they go after the grace, with whatever sweeps next
    sweep(archive, datetime.now(UTC) + timedelta(hours=25))
    assert [path for path in archives.contents(archive.root) if path.endswith(".old")] == []


def test_mentions_may_be_left(archive: Archive) -> None:
    days = erased(archive, HER, mentions=False)
    assert [(day.rows, day.mentions, day.rejects, day.endpoints) for day in days] == [
        (6, 1, 1, 0),
        (6, 7, 1, 0),
        (6, 7, 1, 0),
    ]
    assert "/who" in held(archive.root) and "alice%40example.com" in held(archive.root)
    place = ["--archive", str(archive.root), "--user", HERS["user"], "--ip", HERS["ip"], "--no-mentions"]
    assert b"left: other rows and rejected lines that name them" in invoke("archive", "erase", *place).stdout
    assert [finding.what for finding in verify(archive, deep=True) if not finding.note] == []


def test_what_cannot_be_erased_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(day_of(17))
    (tmp_path / "b.log").write_text(day_of(18))
    archive = archives.make(tmp_path / "archive", [tmp_path / "a.log", tmp_path / "b.log"])
    kept = '[cold]\nafter = "1d"\ncolumns = ["kind", "timestamp", "status", "client_ip"]\n'
    now = datetime(2025, 1, 20, 12, tzinfo=UTC)
    archives.move(archive, now, kept)
    archives.move(archive, now, kept + '[delete]\nafter = "50h"\n')
    (tmp_path / "late.log").write_text(day_of(17).splitlines()[1] + "\n")  # of bob; hers do not come again
    for late in ([], [tmp_path / "late.log"]):
        if late:
            api.add(late, archive.root)
        found = list(erase.look(archive, HER))
        assert [day.rows for day in found] == [0, 6]
        assert found[0].left == (
            "sketches of users stay as they are, and cannot be searched: 25 rows of the day were deleted",
        )
    assert list(erase.look(archive, Persons.named([], ["192.0.2.99"])))[1:] == [], "no user_id is needed for that"
    days = {day.date: day for day in erased(archive, HER)}
    assert days["2025-01-18"].rows == 6 and days["2025-01-18"].users == "kept"
    assert "does not keep user_id" in " ".join(days["2025-01-18"].left)
    assert [finding.what for finding in verify(archive, deep=True) if not finding.note] == []


class Boom(Exception):
    """What a test makes happen."""


def test_an_error_at_any_step_leaves_a_day_before_or_after(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(day_of(19))
    made = archives.make(tmp_path / "archive", [tmp_path / "a.log"])
    before = figures(made)

    def fresh(name: str) -> Archive:
        shutil.copytree(made.root, tmp_path / name)
        return Archive.open(tmp_path / name)

    reached: list[str] = []
    with faults.injected(reached.append):
        erased(fresh("whole"), HER)
    assert "erase.verified" in reached
    # Of each step the first time or the last, by turns; those of writing any file are tested where files are added.
    steps = sorted(step for step in set(reached) if not step.startswith(("write.b", "write.w", "write.s")))
    places = [[n for n, name in enumerate(reached) if name == step] for step in steps]
    for number in [of_step[-(turn % 2)] for turn, of_step in enumerate(places)]:
        archive = fresh(str(number))
        count = iter(range(len(reached) + 1))

        def fail(step: str, number: int = number, count: Any = count) -> None:
            if next(count) == number:
                raise Boom(step)

        with faults.injected(fail), pytest.raises(Boom):
            erased(archive, HER)
        again = Archive.open(archive.root)
        assert sum(day.rows for day in erased(again, HER)) in (0, 6), reached[number]
        assert list(erase.look(again, HER)) == []
        sweep(again, datetime.now(UTC), timedelta(0))
        text = held(again.root).replace("malice@example.com.au", "")
        assert [name for name in NAMES if name in text] == [], reached[number]
        assert figures(again) == before, reached[number]


def test_a_day_that_could_not_be_rewritten_is_said(archive: Archive) -> None:
    """And it is not said that nothing of her is there."""
    for file in archive.snapshot().select(tables.LOGS):
        (archive.root / file.path).write_bytes(b"PAR1")
    place = ["--archive", str(archive.root), "--user", HERS["user"]]
    ran = invoke("archive", "erase", *place, "-o", "json")
    assert (ran.returncode, json.loads(ran.stdout)["failed"]) == (1, ["2025-01-17", "2025-01-18", "2025-01-19"])
    ran = invoke("archive", "erase", *place)
    assert b"2025-01-17: failed; run it again" in ran.stdout and b"nothing of them" not in ran.stdout
    assert ran.stderr.count(b"2025-01-18: warm/") == 1


def test_lines_that_come_meanwhile_are_not_lost(archive: Archive, tmp_path: Path) -> None:
    late = LINE.format(day=19, h=9, status=200, size=1, agent="a", path="/late", referer="-", **HERS)
    (tmp_path / "late.log").write_text(f"{late}\n")
    reached: list[str] = []

    def meanwhile(step: str) -> None:
        reached.append(step)
        if step == "commit.ready" and reached.count(step) == 3:
            contextvars.Context().run(api.add, tmp_path / "late.log", archive.root)

    before = figures(archive)["requests"]
    with faults.injected(meanwhile):
        found = erased(archive, HER)
    found += erased(archive, HER)
    assert sum(day.rows for day in found) == 3 * 6 + 1
    assert list(erase.look(archive, HER)) == []
    assert figures(archive)["requests"] == figures(archive, rows=True)["requests"] == before + 1


@pytest.mark.parametrize(
    ("user", "ip", "text", "named"),
    [
        ("bob", None, "/u/bob/x", True),
        ("bob", None, "/u/BOB", True),
        ("bob", None, "bobby, kabob, bob_2", False),
        ("a b+c", None, "?n=a%20b%2Bc", True),
        ("a b+c", None, "?n=a+b%2Bc&x", True),
        ('é"\\', None, 'x "é\\"\\\\" y', True),
        (".*", None, "anything", False),
        (None, "192.0.2.7", "from 192.0.2.7:8080", True),
        (None, "192.0.2.7", "192.0.2.77 1192.0.2.7", False),
        (None, "::ffff:192.0.2.7", "192.0.2.7", True),
        (None, "2001:db8::7", "[2001:db8::7]", True),
        (None, "2001:db8::7", "2001:0db8:0000:0000:0000:0000:0000:0007", True),
        (None, "2001:db8::7", "2001:db8::7:1 a2001:db8::7 1:2001:db8::7 2001%3Adb8%3A%3A7%3A1", False),
        (None, "2001:db8::7", "2001:db8:0::0:07", True),
        (None, "2001:db8::7", "2001:DB8:0:0:0::0.0.0.7", True),
        (None, "2001:db8:0:0:1::1", "2001:db8::1:0:0:1", True),
        (None, "2001:db8:0:0:1::1", "2001:db8:0:0:1:0:0:1%eth0", True),
        (None, "2001:db8::7", "client:2001:db8::7: refused", True),
        (None, "2001:db8::7", "u=x%3Fip%3D2001%3Adb8%3A%3A7%26", True),
        (None, "192.0.2.7", "::ffff:192.0.2.7", True),
        (None, "192.0.2.7", "::FFFF:c000:207", True),
        ("bob", None, "u=https%3A%2F%2Fexample.com%2F%3Fuser%3Dbob%26x", True),
        ("bob", None, r"\x22bob\x22", True),
        ("bob", None, '{"text":"of\\nbob"}', True),
        ("bob", None, "a%5Fbob", False),
    ],
)
def test_a_name_is_a_word(user: str | None, ip: str | None, text: str, named: bool) -> None:
    persons = Persons.named([user] if user else [], [ip] if ip else [])
    texts = pl.Series([text, f"{text} {text}", None, ""])
    assert persons.in_texts(texts).to_list() == [named, named, False, False]
    assert persons.in_bytes(b"\xff " + text.encode() + b"\n") is named
    assert persons.in_texts(persons.masked(texts)).to_list() == [False] * 4
    assert persons.masked(texts).to_list()[0] != text or not named


@pytest.mark.parametrize(
    "arguments", [[], ["--user", ""], ["--ip", "10.0.0.0/8"], ["--ip", "host"], ["--user", "a", "--grace", "x"]]
)
def test_nobody_is_erased_by_mistake(archive: Archive, arguments: list[str]) -> None:
    before = archives.contents(archive.root)
    ran = invoke("archive", "erase", "--archive", str(archive.root), *arguments)
    assert ran.returncode == 2 and b"Traceback" not in ran.stderr
    assert archives.contents(archive.root) == before
    with pytest.raises(UsageError):
        Persons.named([], [])


def test_an_archive_on_another_folder_and_an_empty_one(tmp_path: Path) -> None:
    empty = init(tmp_path / "empty")
    assert erased(empty, HER) == []
    assert list(erase.look(empty, HER)) == []
