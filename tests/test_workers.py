"""Shards: read anywhere and merged in order, they give what one process gives, byte for byte."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

import logstats
from logstats.errors import LogstatsError, SourceError
from logstats.inputs import Source, discover
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Silence, run
from logstats.scale import processes, results
from logstats.scale.calls import Here
from logstats.scale.run import run_shards
from logstats.scale.shards import shards
from logstats.scale.work import Recorder, ReportWork, RowsWork, Task, read
from logstats.summaries.spec import ReportSpec

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "sample_logs" / "combined_time.log"
NOW = datetime(2025, 1, 18, tzinfo=UTC)
COLUMNS = ("timestamp", "path", "status", "duration_ms", "message")


@contextmanager
def small_chunks(chunk: int) -> Iterator[None]:
    """Chunks and shards of a few lines, of files of a few lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logstats.inputs.chunks.HEAD", chunk)
        patch.setattr("logstats.scale.shards.HEAD", chunk)
        patch.setattr("logstats.scale.shards.SMALLEST", 3 * chunk)
        yield


def whole(task: Task, names: list[str], interrupt: Interrupt | None = None) -> tuple[Any, ...]:
    """What one process makes of it."""
    counts, recorder, rejected = Counts(), Recorder(), list[bytes]()
    parts = run(discover(names)[0], task.job(counts), recorder, rejects=rejected.extend, interrupt=interrupt)
    results = [part.result for part, _ in parts if part.result is not None]
    return results, counts, recorder.events, rejected


def sharded(task: Task, names: list[str], executor: Any = None, workers: int = 3) -> tuple[Any, ...]:
    """What shards make of it."""
    counts, recorder, rejected = Counts(), Recorder(), list[bytes]()
    cut = shards(discover(names)[0], task.job(Counts()), workers)
    results = list(run_shards(cut, task, executor or Here(), counts, recorder, rejects=rejected.extend))
    return results, counts, recorder.events, rejected


def comparable(made: tuple[Any, ...]) -> tuple[Any, ...]:
    results, counts, events, rejected = made
    rows = pl.concat(results).to_dicts() if results else []
    for state in counts.sources:
        state.left = None
    events = [(name, *(one.name if name == "format_found" and i else one for i, one in enumerate(rest)))
              for name, *rest in events]  # fmt: skip
    return rows, repr(counts), [*map(str, events)], rejected


COMBINED = [
    '10.0.0.{i} - - [17/Jan/2025:10:{m:02}:00 +0000] "GET /p{i} HTTP/1.1" 200 {i} "-" "agent" 0.{i:03}',
    '10.0.0.{i} - - [17/Jan/2025:10:{m:02}:00 +0000] "GET /un"balanced" {i}',
    "# {i}",
    "",
    "\\x16\\x03 garbage {i}",
    '{{"time":"2025-01-17T10:{m:02}:00Z","method":"GET","path":"/json{i}","status":200,"duration_ms":{i}}}',
    'level=info ts=2025-01-17T10:{m:02}:00Z msg="started" n={i}',
    "#Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken",
    "2025-01-17 10:{m:02}:00 10.0.0.1 GET /w3c 200 {i}",
]
WEIGHTS = [60, 3, 1, 1, 3]


@given(
    st.integers(0, 2**32),
    st.sampled_from([5, 5, 6, 7, 9]),
    st.sampled_from([300, 1000, 5000]),
    st.sampled_from([None, "combined_time"]),
)
@settings(max_examples=examples(6))
def test_stretches_of_a_file_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kinds: int, chunk: int, form: str | None
) -> None:
    """Whatever lines it has: bad ones, directives, further formats that begin anywhere."""
    draw = random.Random(seed)
    log = tmp_path_factory.mktemp("log") / "a.log"
    begins = draw.randrange(30, 400)
    lines = []
    for number in range(400):
        known = kinds if number > begins else 5
        weights = (WEIGHTS + [draw.choice([0, 0.3, 5])] * 4)[:known]
        line = draw.choices(COMBINED[:known], weights)[0]
        lines.append(line.format(i=number % 250, m=number % 60))
    log.write_text("\n".join(lines) + "\n" * draw.randrange(2), encoding="utf-8")
    with small_chunks(chunk):
        task = Task(RowsWork(COLUMNS), Options(format=form), keep_rejected=True, chunk=chunk)
        assert comparable(sharded(task, [str(log)])) == comparable(whole(task, [str(log)]))


@pytest.mark.parametrize("begins", [0, 40, 250, 399, 400])
def test_a_unit_that_lines_far_on_settle(tmp_path: Path, begins: int) -> None:
    """JSON is cut into stretches, although a duration that comes later may be of any unit."""
    log, line = (
        tmp_path / "a.log",
        '{{"time":"2025-01-17T10:00:{s:02}Z","method":"GET","path":"/{n}","status":200{more}}}\n',
    )
    more = [f',"duration":0.0{n:03}' if n >= begins else "" for n in range(400)]
    log.write_text("".join(line.format(s=n % 60, n=n, more=more[n]) for n in range(400)), encoding="utf-8")
    with small_chunks(2_000):
        task = Task(RowsWork(COLUMNS), Options(), keep_rejected=True, chunk=2_000)
        assert len(list(shards(discover([str(log)])[0], task.job(Counts()), 2))) > 3
        made = comparable(sharded(task, [str(log)]))
        assert made == comparable(whole(task, [str(log)]))
    found = {row["path"]: row["duration_ms"] for row in made[0]}
    assert found == {f"/{n}": pytest.approx(n / 10) if n >= begins else None for n in range(400)}


def test_a_file_is_cut_where_chunks_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(SAMPLE.read_bytes())
    with small_chunks(2_000):
        task = Task(RowsWork(COLUMNS), Options(), chunk=2_000)
        cut = list(shards(discover([str(log)])[0], task.job(Counts()), 2))
    assert len(cut) > 5 and [shard.goes_on for shard in cut] == [False, *[True] * (len(cut) - 1)]
    data, begin = log.read_bytes(), 0
    for shard in cut:
        (part,) = shard.sources
        assert (part.start.offset if part.start else 0) == begin
        begin = part.stop or len(data)
        assert data[begin - 1 : begin] == b"\n"
    assert begin == len(data) == sum(shard.size for shard in cut)


def test_what_cannot_be_cut_is_one_shard(tmp_path: Path) -> None:
    """Compressed files, those with directives, and lines that are logged in parts."""
    w3c = (
        "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n" + "2025-01-17 10:00:00 10.0.0.1 GET /a 200\n" * 300
    )
    cri = "".join(f"2025-01-17T10:00:00.1Z stdout {'FP'[n % 2]} {line}\n" for n, line in enumerate(
        SAMPLE.read_text(encoding="utf-8").splitlines()[:300]))  # fmt: skip
    logs = {"w3c.log": w3c.encode(), "cri.log": cri.encode(), "a.gz": gzip.compress(SAMPLE.read_bytes())}
    for name, data in logs.items():
        (tmp_path / name).write_bytes(data)
        with small_chunks(2_000):
            task = Task(RowsWork(COLUMNS), Options(), keep_rejected=True, chunk=2_000)
            cut = list(shards(discover([str(tmp_path / name)])[0], task.job(Counts()), 2))
            assert [len(shard.sources) for shard in cut] == [1], name
            assert comparable(sharded(task, [str(tmp_path / name)])) == comparable(whole(task, [str(tmp_path / name)]))


@pytest.fixture
def logs(tmp_path: Path, chunks_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A large plain file, a packed one, one that is cut off, small ones of other formats; and shards of few lines."""
    large = tmp_path / "large.log"
    large.write_bytes(b"".join((ROOT / "sample_logs" / "combined_us.log").read_bytes() for _ in range(20)))
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(SAMPLE.read_bytes() * 3))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(SAMPLE.read_bytes())[:9_000])
    monkeypatch.setattr("logstats.scale.shards.SMALLEST", 1 << 18)
    chunks_of(1 << 16)
    small = [str(ROOT / "sample_logs" / f"{name}.log") for name in ("json", "app", "kv")]
    return [str(large), str(tmp_path / "b.log.gz"), small[0], str(tmp_path / "cut.gz"), "gone.log", *small[1:]]


POLICY = """
[[objective]]
name = "answered"
good = "status < 500 and duration < 300ms"
target = 99
[[objective]]
name = "slowest"
select = "GET /api*"
require = "max < 5s"
"""


def test_commands_with_processes_are_as_without(logs: list[str], tmp_path: Path) -> None:
    """Reports, objectives, rows, rejected lines, conditions, exit codes, and what is said."""
    (tmp_path / "slo.toml").write_text(POLICY, encoding="utf-8")
    report = ["report", *logs, "-o", "json", "--by", "client_ip", "--rejects", "REJECTS", "--strict"]
    report += ["--fail-if", "GET /api*: p95 > 1ms", "--exact-users", "--max-endpoints", "60"]
    parse = ["parse", *logs, "--since", "2025-01-17T06:00", "--rejects", "REJECTS"]
    slo = ["slo", *logs, "--policy", str(tmp_path / "slo.toml"), "-o", "json", "--method", "GET"]
    summary = ["report", *logs, "-o", "summary", "--out", "SUMMARY", "--by", "status"]
    for arguments in (report, parse, slo, summary):
        made = []
        for workers in ("1", "2"):
            rejects, kept = tmp_path / f"{workers}.rejects", tmp_path / f"{workers}.summary"
            named = [str({"REJECTS": rejects, "SUMMARY": kept}.get(one, one)) for one in arguments]
            ran = invoke(*named, "--workers", workers)
            assert b"Traceback" not in ran.stderr
            out: Any = ran.stdout
            if arguments is summary:
                out = logstats.merge(kept, by=["status"], now=NOW, over_time=True).to_json()
            elif arguments is not parse:
                out = json.loads(out) | {"generated_at": ""}
            made.append((ran.returncode, out, ran.stderr, rejects.read_bytes() if rejects.exists() else b""))
        assert made[0] == made[1]
        assert made[0][0] == 1  # gone.log, cut.gz


def test_a_diff_of_shards_is_that_of_the_logs(logs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(processes, "Processes", lambda workers: started.append(workers) or Here())
    runs = [invoke("diff", logs[1], logs[0], "-o", "json", "--workers", workers) for workers in ("1", "2")]
    assert started == [2, 2] and [run.returncode for run in runs] == [0, 0]
    assert len({run.stdout for run in runs}) == len({run.stderr for run in runs}) == 1


@pytest.mark.parametrize(
    ("there", "megabytes", "asked", "expected"),
    [
        (16, 1535, 0, 2),
        (16, 1 << 20, 0, 8),
        (16, 1000, 0, None),
        (2, 1 << 20, 0, None),
        (2, 1, 3, 3),
        (16, 1 << 20, 1, None),
    ],
)
def test_as_many_processes_as_pay(
    there: int, megabytes: int, asked: int, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the cores, and no more than one for each 512 MiB."""
    monkeypatch.setattr("logstats.scale.results.cores", lambda: there)
    log = Source("log", None, megabytes << 20, 0.0)
    made = results._executor([log], Options(workers=asked))
    assert (made.workers if made is not None else None) == expected
    if made is not None:
        made.close()


@dataclass(frozen=True, slots=True)
class DyingWork:
    """Rows, but the process that makes the first of them ends at once, as often as there are files in a folder."""

    folder: str

    @property
    def inner(self) -> RowsWork:
        return RowsWork(COLUMNS)

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def work(self, rows: pl.DataFrame, source: str, first_line: int) -> Any:
        for marker in Path(self.folder).iterdir():
            marker.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.work(rows, source, first_line)

    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]:
        return results, []

    def moved(self, result: Any, lines: int) -> Any:
        return self.inner.moved(result, lines)


def dying(tmp_path: Path, times: int) -> Task:
    folder = tmp_path / "markers"
    folder.mkdir()
    for number in range(times):
        (folder / str(number)).touch()
    return Task(DyingWork(str(folder)), Options(), keep_rejected=True, chunk=1 << 16)


def test_a_worker_that_dies_costs_its_shard(logs: list[str], tmp_path: Path) -> None:
    task = dying(tmp_path, 1)
    made = sharded(task, logs, processes.Processes(2))
    assert not list((tmp_path / "markers").iterdir())
    assert comparable(made) == comparable(whole(replace(task, work=RowsWork(COLUMNS)), logs))


def test_a_shard_whose_workers_die_every_time_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogstatsError, match=r"combined_time\.log: the process that read it ended 3 times"):
        sharded(dying(tmp_path, 9), [str(SAMPLE)], processes.Processes(1))


def test_an_interrupt_leaves_the_first_lines(logs: list[str]) -> None:
    interrupt, counts, task = Interrupt(), Counts(), Task(RowsWork(COLUMNS), Options(), chunk=1 << 16)
    results = run_shards(shards(discover(logs)[0], task.job(Counts()), 2), task, processes.Processes(2), counts,
                         Recorder(), interrupt=interrupt)  # fmt: skip
    first = next(results)
    interrupt.asked = True
    rows = pl.concat([first, *results])
    assert counts.interrupted and 0 < rows.height < 20 * 900
    complete = pl.concat(whole(task, logs)[0])
    assert rows.equals(complete.head(rows.height))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_ctrl_c_leaves_a_report_and_no_process(logs: list[str], tmp_path: Path) -> None:
    """A report of what was merged, while the next source has nothing to say."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sources = [*logs[:3], str(pipe), logs[-1]]
    command = [sys.executable, "-m", "logstats", "report", *sources, "-o", "json", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        writer = os.open(pipe, os.O_WRONLY)  # waits until it is opened: what stands before it is merged
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60)
        os.close(writer)
    assert process.returncode == 130 and b"Traceback" not in error
    found = json.loads(out)
    assert found["interrupted"] and found["lines"] == 20 * 900 + 3 * 900 + 900
    while _alive(process.pid):
        os.sched_yield()


def _alive(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if state != "Z" and int(of_group) == group:
                alive.append(stat.parent.name)
    return alive


def test_a_stretch_that_cannot_be_read_ends_its_file(logs: list[str]) -> None:
    """As in one process, what follows is not read."""
    task = Task(ReportWork(ReportSpec()), Options(), chunk=1 << 16)

    class Failing(Here):
        def result(self, ticket: Any, until: Callable[[], bool]) -> Any:
            outcome = super().result(ticket, until)
            assert outcome is not None
            if ticket.arguments[1][0].start:
                outcome.counts.sources[0].problem = SourceError(logs[0], "input/output error")
            return outcome

    _, counts, *_ = sharded(task, logs[:1], Failing())
    cut = list(shards(discover(logs[:1])[0], task.job(Counts()), 3))
    assert len(cut) > 4 and cut[1].sources[0].stop == counts.sources[0].bytes
    assert str(counts.sources[0].problem) == f"{logs[0]}: input/output error"


def test_a_worker_of_another_version_is_refused() -> None:
    task = Task(ReportWork(ReportSpec()), Options(), version="0.0.1")
    with pytest.raises(LogstatsError, match=r"a worker has logstats .*, and the report is made by 0\.0\.1"):
        read(task, discover([str(SAMPLE)])[0])


def test_beyond_its_bound_a_shard_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(
        "".join(f"2025-01-17 10:30:00 GET /{'abcdefghijkl'[i]} 200 1ms\n" for i in range(12)), encoding="utf-8"
    )
    counts = sharded(Task(ReportWork(ReportSpec(max_endpoints=1)), Options()), [str(tmp_path / "a.log")])[1]
    assert counts.notes == [f"{tmp_path}/a.log: 2 requests of endpoints beyond 10 count as (other)"]


def test_options_that_exclude_each_other(tmp_path: Path) -> None:
    ran = invoke("report", str(SAMPLE), "--workers", "2", "--cluster", "tcp://127.0.0.1:1")
    assert ran.returncode == 2 and b"--workers and --cluster exclude each other" in ran.stderr


class Scheduler:
    """A Dask scheduler on this machine, with two workers."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack, self._folder = stack, folder
        self._file = folder / "scheduler.json"
        self._log = stack.enter_context((folder / "dask.log").open("wb"))
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self._workers: list[subprocess.Popen[bytes]] = []

    def _start(self, what: str, *more: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self._file)]
        process = subprocess.Popen([*command, "--no-dashboard", *more], stdout=self._log, stderr=self._log,
                                   env=environment, cwd=self._folder)  # fmt: skip
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def with_two_workers(self) -> str:
        """Its address; workers that were killed are replaced by others, with the environment of now."""
        from distributed import Client

        self._workers = [one for one in self._workers if one.poll() is None]
        while len(self._workers) < 2:
            self._workers.append(self._start("worker", "--nthreads", "1", "--no-nanny"))
        with Client(scheduler_file=str(self._file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            return str(client.scheduler_info()["address"])


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    pytest.importorskip("distributed")
    with ExitStack() as stack:
        yield Scheduler(tmp_path_factory.mktemp("dask"), stack)


def test_an_archive_on_a_cluster_is_as_without(
    scheduler: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are added by workers of which one is killed, reported from rows, moved and verified, all on the cluster."""
    import archives
    import buckets
    from test_archive_workers import HOW, dying

    from logstats.archive.add import add_apart
    from logstats.archive.archive import Archive
    from logstats.scale.cluster import Cluster

    logs = [str(log) for log in archives.logs_of_three_days(tmp_path)]
    policy, marker = tmp_path / "policy.toml", tmp_path / "marker"
    policy.write_text(archives.POLICY, encoding="utf-8")
    marker.touch()
    with buckets.localbucket(tmp_path) as store:
        buckets.make_bucket(store)
        buckets.use(store, monkeypatch)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr("logstats.archive.log.object_storage.ROUNDS", 1)
        address = scheduler.with_two_workers()
        asked = []
        far = ["--cluster", address]
        for archive, where in (
            (str(tmp_path / "alone"), []),
            (str(tmp_path / "near"), far),
            (f"s3://{buckets.BUCKET}/far", far),
        ):
            assert invoke("archive", "init", archive).returncode == 0
            on = ("--archive", archive, *where)
            if marker.exists() and where:
                work, sources = partial(dying, str(marker)), discover(logs)[0]
                with closing(Cluster(address)) as executor:
                    add_apart(Archive.open(archive), sources, work, HOW, Silence(), Interrupt(), executor)
                assert not marker.exists()
            runs = [
                invoke("archive", "add", *logs, *on),
                invoke("archive", "tier", *on, "--now", "2025-02-18", "--policy", str(policy)),
                invoke("archive", "verify", "--deep", *on, "-q"),
                invoke("report", "--rows", *on, "-q", "-o", "json", "--by", "client_ip"),
            ]
            assert [run.returncode for run in runs] == [0, 0, 0, 0], [run.stderr for run in runs]
            tiers = invoke("query", "SELECT tier, day, count(*) AS n FROM logs GROUP BY ALL ORDER BY ALL",
                           "--archive", archive, "-o", "csv")  # fmt: skip
            found = json.loads(runs[3].stdout) | {"generated_at": ""}
            found["sources"].sort(key=itemgetter("name"))
            asked.append((found, tiers.stdout))
            ran = invoke("archive", "tier", "--dry-run", *on)
            assert not where or (ran.returncode == 2 and b"--cluster have nothing to do" in ran.stderr)
    assert asked[0][0]["requests"] > 2000
    for found, tiers in asked[1:]:
        assert found == asked[0][0]
        assert tiers == asked[0][1]


def test_a_cluster_gives_the_same_and_may_lose_a_worker(scheduler: Scheduler, logs: list[str], tmp_path: Path) -> None:
    address = scheduler.with_two_workers()
    arguments = ("report", *logs, "-o", "json", "--by", "status", "--rejects")
    made = []
    for number, where in enumerate((("--workers", "1"), ("--cluster", address))):
        rejects = tmp_path / str(number)
        ran = invoke(*arguments, str(rejects), *where)
        found = json.loads(ran.stdout) | {"generated_at": ""}
        made.append((ran.returncode, found, ran.stderr, rejects.read_bytes()))
    assert made[0] == made[1]

    from logstats.scale.cluster import Cluster

    task = dying(tmp_path, 1)
    assert comparable(sharded(task, logs, Cluster(address))) == comparable(
        whole(replace(task, work=RowsWork(COLUMNS)), logs)
    )
    assert not list((tmp_path / "markers").iterdir())


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("logstats.scale.cluster._CONNECT", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        ran = invoke("report", str(SAMPLE), "--cluster", address)
        assert ran.returncode == 1 and b"no scheduler answers" in ran.stderr and b"Traceback" not in ran.stderr
