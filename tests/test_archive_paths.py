"""An archive that somebody handed over: nothing outside of it is read, written or deleted, whatever its files say."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archives
import numbered
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import invoke
from test_commit_log import reseal

from logstats.archive.archive import Archive
from logstats.archive.log import paths, tables
from logstats.archive.log.local_storage import LocalStorage
from logstats.archive.log.paths import ForeignPath, Places

ID = "0123456789abcdef012"
GOOD = f"hot/year=2025/month=1/day=17/hour=10/{ID}-0.parquet"
VICTIM = f"year=2025/month=1/day=17/{ID}-0.parquet"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "a.log").write_bytes(numbered.log(0, 50))
    return archives.make(folder / "archive", [folder / "a.log"]).root


@pytest.fixture
def handed(sound: Path, tmp_path: Path) -> Path:
    """The archive, beside what it must not touch: a text, a Parquet file, and a tier's folder of somebody else."""
    victim = tmp_path / "victim"
    (victim / "warm" / VICTIM).parent.mkdir(parents=True)
    (victim / "v2.txt").write_text("secret\n")
    pl.DataFrame({"path": ["secret"]}).write_parquet(victim / "warm" / VICTIM)
    shutil.copy(victim / "warm" / VICTIM, victim / "data.parquet")
    return Path(shutil.copytree(sound, tmp_path / "archive"))


def live(root: Path, table: str = "logs") -> str:
    return Archive.open(root).snapshot().select(table)[0].path


def renamed(field: str, path: str) -> Callable[[Path], None]:
    """The last commit says a path of one's own choice."""

    def attack(root: Path) -> None:
        victim = path.replace("VICTIM", str(root.parent / "victim"))
        number = 2

        def change(value: dict[str, Any]) -> None:
            if field == "added":
                value["added"][0]["path"] = victim
            else:
                value[field] = [victim]

        reseal(root, number, change)

    return attack


def journalled(path: str) -> Callable[[Path], None]:
    """A writer that died had begun a file of one's own choice."""

    def attack(root: Path) -> None:
        (root / "work" / ID).mkdir(parents=True)
        (root / "work" / f"{ID}.lock").touch()
        (root / "work" / ID / "journal").write_text(path.replace("VICTIM", str(root.parent / "victim")) + "\n")

    return attack


def linked(place: str, target: str) -> Callable[[Path], None]:
    """Something of the archive is a symbolic link."""

    def attack(root: Path) -> None:
        link = root / (place if place != "DATA" else live(root))
        if place == "PARTITION":
            link = (root / live(root)).parent
        if place in ("PARTITION", "hot", "commits"):
            shutil.copytree(link, root.parent / "elsewhere")
        if link.is_dir():
            shutil.rmtree(link)
        else:
            link.unlink(missing_ok=True)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(root.parent / target)

    return attack


def linked_journal(root: Path) -> None:
    journalled("x")(root)
    (root / "work" / ID / "journal").unlink()
    (root / "work" / ID / "journal").symlink_to(root.parent / "victim" / "v2.txt")


def linked_writer(root: Path) -> None:
    (root / "work").mkdir(exist_ok=True)
    (root / "work" / f"{ID}.lock").touch()
    (root / "work" / ID).symlink_to(root.parent / "victim")


def a_pipe_in_place_of_data(root: Path) -> None:
    """Whoever opens it waits for ever."""
    place = root / live(root)
    place.unlink()
    os.mkfifo(place)


def a_pipe_in_place_of_a_checkpoint(root: Path) -> None:
    os.mkfifo(root / paths.CHECKPOINT)


def a_policy_that_is_a_link(root: Path) -> None:
    (root / "lifecycle.toml").unlink()
    (root / "lifecycle.toml").symlink_to(root.parent / "victim" / "v2.txt")


ATTACKS = {
    **{
        f"{field} {path}": renamed(field, path)
        for field in ("added", "removed", "deleted")
        for path in (
            "../victim/v2.txt",
            "VICTIM/v2.txt",
            f"VICTIM/warm/{VICTIM}",
            f"hot/../../victim/warm/{VICTIM}",
            "hot/year=2025/month=1/day=17/hour=10/../../../../../../victim/data.parquet",
            f"hot/year=2025/month=1/day=17/hour=10/{ID}-0.parquet\0",
            "lifecycle.toml",
            "commits/00000001.json",
            "/",
            "",
        )
    },
    **{
        f"journal {path}": journalled(path)
        for path in (
            "../victim/v2.txt",
            "VICTIM/v2.txt",
            f"VICTIM/warm/{VICTIM}",
            "lifecycle.toml",
            "commits/00000002.json",
        )
    },
    "link: data": linked("DATA", "victim/data.parquet"),
    "link: partition": linked("PARTITION", "elsewhere"),
    "link: hot": linked("hot", "elsewhere"),
    "link: commits": linked("commits", "elsewhere"),
    "link: work": linked("work", "victim"),
    "link: checkpoint": linked("commits/checkpoint.json", "victim/v2.txt"),
    "link: catalog": linked("catalog.sql", "victim/v2.txt"),
    "link: lock": linked(f"work/{ID}.lock", "victim/v2.txt"),
    "link: journal": linked_journal,
    "link: writer": linked_writer,
    "link: replaced": linked("work/replaced", "victim"),
    "link: policy": a_policy_that_is_a_link,
    "pipe: data": a_pipe_in_place_of_data,
    "pipe: checkpoint": a_pipe_in_place_of_a_checkpoint,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_nothing_outside_is_touched(handed: Path, tmp_path: Path, attack: Callable[[Path], None]) -> None:
    attack(handed)
    outside = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(tmp_path / "victim")}
    (tmp_path / "b.log").write_bytes(numbered.log(1_000, 1_010))
    failed = 0
    for command in (
        ["archive", "verify"],
        ["query", "SELECT path, count(*) AS n FROM logs GROUP BY path", "-o", "csv"],
        ["report", "--rows", "--by", "path"],
        ["archive", "add", str(tmp_path / "b.log")],
        ["archive", "tier", "--grace", "0h", "--now", "2026-01-01"],
    ):
        done = invoke(*command, "--archive", str(handed))
        assert b"secret" not in done.stdout + done.stderr
        assert b"Traceback" not in done.stderr, done.stderr
        failed += done.returncode == 1
    assert failed, "nobody has said anything"
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(tmp_path / "victim")} == outside
    assert not list((tmp_path / "victim").glob("*.lock"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_tier_that_another_policy_names(handed: Path, tmp_path: Path) -> None:
    """The archive's own lifecycle.toml says which folders it may use outside of itself, and `/` is none."""
    for folder in ("/", "//", "/.", "relative"):
        (handed / "lifecycle.toml").write_text(f'[warm]\nafter = "1d"\npath = "{folder}"\n')
        done = invoke("archive", "tier", "--archive", str(handed))
        assert done.returncode == 2, folder
        assert b"is no absolute path and no URL" in done.stderr
    (handed / "lifecycle.toml").unlink()
    (tmp_path / "mine.toml").write_text(f'[warm]\nafter = "1d"\npath = "{tmp_path}/victim"\n')
    done = invoke("archive", "tier", "--archive", str(handed), "--policy", str(tmp_path / "mine.toml"))
    assert done.returncode == 1
    assert b"lifecycle.toml names no such folder" in done.stderr


# -- the one function


@pytest.mark.parametrize(
    ("path", "table", "tier"),
    [
        (GOOD, "logs", "hot"),
        (f"warm/{VICTIM}", "logs", "warm"),
        (f"cold/{VICTIM}", "logs", "cold"),
        (f"rejects/{VICTIM}", "rejects", "rejects"),
        (f"rollups/users/{VICTIM}", "users", "rollups"),
        (f"hot/year=1/month=12/day=31/hour=0/{ID}-999999999.parquet", "logs", "hot"),
    ],
)
def test_what_is_a_path(tmp_path: Path, path: str, table: str, tier: str) -> None:
    places = Places(LocalStorage(tmp_path).read)
    assert places.checked(path, table, tier) == path
    assert path.startswith(paths.folder(table, tier, paths.partition_in(path)) + "/")
    for other in tables.TABLES:
        if other != table:
            with pytest.raises(ForeignPath):
                places.checked(path, other, tier)
    assert paths.unreplaced(paths.replaced(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        7,
        "",
        ".",
        "..",
        "hot",
        GOOD.upper(),
        f"/{GOOD}",
        f"./{GOOD}",
        f"../{GOOD}",
        f"{GOOD}/",
        f"{GOOD}\n",
        f"{GOOD}.tmp",
        GOOD.replace("hot/", "hot//"),
        GOOD.replace("/", "\\"),
        GOOD.replace("month=1", "month=01"),
        GOOD.replace("month=1", "month=13"),
        GOOD.replace("month=1/day=17", "month=2/day=30"),
        GOOD.replace("hour=10", "hour=24"),
        GOOD.replace("hour=10", "hour=١٠"),
        GOOD.replace("/hour=10", ""),
        GOOD.replace("year=2025", "year=0"),
        GOOD.replace("year=2025", "year=10000"),
        GOOD.replace(ID, "x"),
        GOOD.replace("hot", "work"),
        f"warm/year=2025/month=1/day=17/hour=3/{ID}-0.parquet",
        f"rollups/{VICTIM}",
        f"rollups/logs/{VICTIM}",
        f"rollups/../{VICTIM}",
        f"/mnt/warm/{VICTIM}",
        f"/mnt/../warm/{VICTIM}",
    ],
)
def test_what_is_none(tmp_path: Path, path: Any) -> None:
    with pytest.raises(ForeignPath):
        Places(LocalStorage(tmp_path).read).checked(path)


@given(st.text(alphabet="hotwarm/=.\\\0ye2-0_" + ID, max_size=80) | st.text(max_size=40))
def test_any_text(text: str) -> None:
    """What is taken lies inside, and is put together again from what it says."""
    try:
        path = Places(LocalStorage("/nowhere").read).checked(text)
    except ForeignPath:
        return
    assert path == os.path.normpath(path) and not path.startswith(("/", ".."))


def test_a_tier_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "lifecycle.toml").write_text('[warm]\nafter="1d"\npath="/mnt/disk2/"\nformer=["/mnt/a//b/../c"]\n')
    places = Places(LocalStorage(tmp_path).read)
    for base in ("/mnt/disk2", "/mnt/a/c"):
        path = f"{base}/warm/{VICTIM}"
        assert places.checked(path, "logs", "warm") == path
        assert paths.split(path) == (base, f"warm/{VICTIM}")
        assert paths.replaced(path) == f"{base}/{paths.REPLACED}/warm/{VICTIM}.old"
        assert paths.unreplaced(paths.replaced(path)) == path
    for path in (
        f"/mnt/disk2/x/warm/{VICTIM}",
        f"/mnt/disk2/../disk2/warm/{VICTIM}",
        f"/mnt/disk2/{GOOD}",
        f"/mnt/disk2/rejects/{VICTIM}",
    ):
        with pytest.raises(ForeignPath):
            places.checked(path)


# -- the query


@pytest.mark.parametrize(
    "reader", ["read_text", "read_blob", "read_csv", "read_json", "sniff_csv", "read_csv_auto", "system.main.read_blob"]
)
def test_files_are_read_as_parquet_only(handed: Path, reader: str) -> None:
    place = handed / live(handed)
    for sql in (
        f"FROM {reader}('{place}')",
        f"SELECT (SELECT count(*) FROM {reader}('{place}'))",
        f"FROM query('FROM {reader}(''{place}'')')",
        f"WITH x AS MATERIALIZED (FROM {reader}('{place}')) SELECT count(*) FROM logs, x",
    ):
        done = invoke("query", sql, "--archive", str(handed))
        assert done.returncode in (1, 2), sql
        assert done.stdout == b""
    assert invoke("query", f"SELECT count(*) FROM read_parquet('{place}')", "--archive", str(handed)).returncode == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b",
        "SELECT a.range FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1",
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x",
    ],
)
def test_timeout(handed: Path, sql: str) -> None:
    done = invoke("query", sql, "--archive", str(handed), "--timeout", "300ms", "-o", "csv")
    assert done.returncode == 1
    assert b"took longer than 0.3 seconds and was stopped" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("duration", ["", "0s", "5", "-1s", "1d", "soon", "1e9s"])
def test_timeouts_that_are_none(handed: Path, duration: str) -> None:
    done = invoke("query", "SELECT 1", "--archive", str(handed), "--timeout", duration)
    assert done.returncode == 2
    assert b"--timeout" in done.stderr


def test_bounds_of_a_query(handed: Path) -> None:
    from logstats.archive.query.sql import MEMORY, SPILL, connect

    archive = Archive.open(handed)
    with connect(archive.storage, archive.snapshot()) as connection:
        settings = dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    units = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    for name, most in (("memory_limit", MEMORY), ("max_temp_directory_size", SPILL)):
        number, unit = settings[name].split()
        assert 0 < float(number) * units[unit] <= most * 1.001
    for name in ("autoload_known_extensions", "autoinstall_known_extensions", "allow_community_extensions",
                 "allow_persistent_secrets", "enable_external_access"):  # fmt: skip
        assert settings[name] == "false"


def test_a_lock_that_is_held_is_respected(handed: Path, tmp_path: Path) -> None:
    """Of a live writer, whose journal is not even read."""
    journalled("../victim/v2.txt")(handed)
    with (handed / "work" / f"{ID}.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "b.log").write_bytes(numbered.log(1_000, 1_010))
        assert invoke("archive", "add", str(tmp_path / "b.log"), "--archive", str(handed)).returncode == 0
    assert (handed / "work" / ID).exists()


def test_json_of_a_hostile_commit_is_named(handed: Path) -> None:
    """What is no commit at all, with a digest that is right."""
    for value in ([], {}, None, {"version": "x"}, {"version": 1, "number": 2}):
        (handed / "commits/00000002.json").write_bytes(sealed(value))
        done = invoke("report", "--archive", str(handed))
        assert done.returncode == 1
        assert b"commits/00000002.json: " in done.stderr and b"Traceback" not in done.stderr


def sealed(value: Any) -> bytes:
    import hashlib

    body = json.dumps(value).encode()
    return b'{"sha256":"%s",\n"value":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
