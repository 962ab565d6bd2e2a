"""`logstats watch`: a session's figures are those of a report over the same lines; windows go by the log's clock."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from following import copy_and_truncate
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

import logstats
from logstats import api
from logstats.errors import UsageError
from logstats.formats.detection.detect import Detector
from logstats.live.pace import Pace
from logstats.live.session import Session
from logstats.live.watching import Watching, seconds

SAMPLES = Path(__file__).parent.parent / "sample_logs"
NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)


class Log:
    """A log and a session that watches it; all clocks are one, which goes on when it is told to."""

    def __init__(self, path: Path, watching: Watching | None = None, **options: Any) -> None:
        self.path, self.now = path, 0.0
        self.said: list[str] = []
        self.session: Session = api.watch(
            [path],
            None,
            watching or Watching(),
            say=self.said.append,
            clock=lambda: self.now,
            wall=lambda: NOON.timestamp() + self.now,
            **options,
        )

    def write(self, *seconds: float, status: int = 200, user: int = 1, path: str = "/api/bugs/7", ms: int = 5) -> None:
        """Lines of so many seconds after noon."""
        with self.path.open("a") as file:
            for second in seconds:
                at = NOON + timedelta(seconds=second)
                file.write(
                    f"10.0.0.{user} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "
                    f'"GET {path} HTTP/1.1" {status} 10 "-" "curl" {ms / 1000:.3f}\n'
                )

    def step(self, at: float) -> None:
        """Look, so many seconds after noon."""
        self.now = at
        while self.session.step():
            pass

    def report(self) -> dict[str, Any]:
        return self.session.report(percentiles=("50", "99")).to_dict()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    made: list[Log] = []

    def make(watching: Watching | None = None, **options: Any) -> Log:
        made.append(Log(tmp_path / "access.log", watching, **options))
        return made[-1]

    yield make
    for one in made:
        one.session.close()


def same(session: dict[str, Any], report: dict[str, Any]) -> None:
    """Every figure but the time of making."""
    for key in session.keys() | report.keys():
        if key not in ("generated_at", "notes"):
            assert session[key] == report[key], key


@pytest.mark.parametrize("name", ["combined_time.log", "json.log", "app.log", "kv.log"])
def test_every_figure_is_that_of_a_report(name: str) -> None:
    path = SAMPLES / name
    session = api.watch([path], watching=Watching(from_start=True))
    while session.step():
        pass
    same(session.report(percentiles=("50", "99")).to_dict(), logstats.report(path, percentiles=("50", "99")).to_dict())


def test_every_figure_after_rotations_and_rejects(tmp_path: Path, log: Callable[..., Log]) -> None:
    watched = log(Watching(from_start=True))
    whole = tmp_path / "whole"
    text = (SAMPLES / "combined.log").read_bytes().splitlines(keepends=True)
    for number, start in enumerate(range(0, len(text), 100)):
        part = b"".join(text[start : start + 100])
        with watched.path.open("ab") as file, whole.open("ab") as copy:
            file.write(part)
            copy.write(part)
        if number % 3 == 1:
            watched.step(float(number))
        if number % 3 == 2:
            watched.path.rename(tmp_path / f"old.{number}")
        watched.step(float(number))
    made, expected = watched.report(), logstats.report(whole, percentiles=("50", "99")).to_dict()
    assert [source["lines"] for source in made["sources"]] == [len(text)], "one source, however often it is rotated"
    places = [sample.pop("line") for report in (made, expected) for sample in report["rejects"]["samples"]]
    assert places, "in rotated files the lines have other numbers"
    for report in (made, expected):
        report["sources"] = [{**source, "name": ""} for source in report["sources"]]
        report["rejects"]["samples"] = [{**sample, "source": ""} for sample in report["rejects"]["samples"]]
    same(made, expected)


LINES = st.tuples(
    st.just("write"),
    st.lists(st.tuples(st.integers(-4000, 4000), st.sampled_from([200, 404, 500]), st.integers(0, 9)), max_size=5),
)
DOINGS = LINES | st.tuples(st.sampled_from(["bad", "look", "rename", "copytruncate"]), st.just([]))


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), DOINGS), max_size=20))
def test_every_figure_of_any_session(doings: list[tuple[int, tuple[str, list[tuple[int, int, int]]]]]) -> None:
    """Lines of several sources in any order, an hour late or early, lines that cannot be read, over rotations: the
    report of the session is that over the same lines in files that nobody rotates."""
    with tempfile.TemporaryDirectory() as name:
        folder, now = Path(name), 0.0
        paths, wholes = [folder / f"{n}.log" for n in "abc"], [folder / f"{n}.whole" for n in "abc"]
        for path in (*paths, *wholes):
            path.touch()
        session = api.watch(
            paths,
            None,
            Watching(from_start=True, rows=100),
            over_time=True,
            clock=lambda: now,
            wall=lambda: NOON.timestamp() + now,
            format="combined_time",
        )

        def step() -> None:
            while session.step():
                pass

        def write(place: int, text: str) -> None:
            for path in (paths[place], wholes[place]):
                with path.open("a") as file:
                    file.write(text)

        for number, (place, (doing, lines)) in enumerate(doings):
            now += 7
            if doing != "write":
                step()
            for second, status, user in lines:
                at = f"{NOON + timedelta(seconds=now + second):%d/%b/%Y:%H:%M:%S} +0000"
                request = f'"GET /{user % 4}/x HTTP/1.1" {status} {number}'
                write(place, f'10.0.0.{user} - - [{at}] {request} "-" "curl" 0.{abs(second) % 1000:03}\n')
            if doing == "bad":
                write(place, "no request\n")
            if doing == "rename":
                paths[place].rename(folder / f"{place}.{number}")
                paths[place].touch()
            if doing == "copytruncate":
                write(place, f"seen {number}\n")
                step()  # what was never seen leaves no trace
                write(place, f"not seen yet {number}\n")
                copy_and_truncate(paths[place], folder / f"{paths[place].name}.{number}")
                step()
        for _ in range(2):  # lines of which none is a request wait a while for others
            step()
            now += 10
        step()
        snapshot = session.snapshot()
        made = session.report(percentiles=("50", "99")).to_dict()
        report = logstats.report(wholes, format="combined_time", over_time=True, percentiles=("50", "99")).to_dict()
        assert (snapshot.requests, snapshot.rejected) == (report["requests"], report["rejected"])
        for one in (made, report):  # the same lines have other names and numbers, and come in another order
            # A log that nothing was written to is no source of a session.
            one["sources"] = sorted((read["lines"], read["bytes"]) for read in one["sources"] if read["bytes"])
            one["rejects"]["samples"] = len(one["rejects"]["samples"])
        same(made, report)


def test_a_window_is_a_report_over_its_minutes(log: Callable[..., Log]) -> None:
    watched = log(Watching(window=120))
    for second in range(0, 600, 7):
        watched.write(
            second, status=500 if second % 5 == 0 else 200, user=second % 11, ms=second, path=f"/{second % 3}"
        )
        watched.step(second)
    snapshot = watched.session.snapshot().to_dict()
    window = snapshot["window"]
    minute = NOON + timedelta(minutes=9)
    expected = logstats.report(
        watched.path, since=minute - timedelta(minutes=1), percentiles=("50", "95", "99")
    ).to_dict()
    assert window["requests"] == expected["requests"] > 10
    assert window["errors"] == expected["status"]["500"]
    for key in ("status", "status_classes", "endpoints_total"):
        assert window[key] == expected[key]
    assert [(row["endpoint"], row["requests"]) for row in window["endpoints"]] == [
        (row["endpoint"], row["requests"]) for row in expected["endpoints"]
    ]
    assert window["latency_ms"]["percentiles"] == expected["latency_ms"]["percentiles"]
    hour = logstats.report(watched.path, percentiles=("50", "95", "99")).to_dict()
    assert snapshot["last_hour"]["users"] == hour["unique_users"]["total"]
    assert snapshot["last_hour"]["latency_ms"]["percentiles"] == hour["latency_ms"]["percentiles"]
    last = logstats.report(
        watched.path, since=minute - timedelta(minutes=1), until=minute, percentiles=("50", "95", "99")
    )
    assert snapshot["last_minute"]["latency_ms"]["percentiles"] == last.to_dict()["latency_ms"]["percentiles"]
    assert snapshot["this_minute"]["users"] == dict(hour["unique_users"]["per_minute"][-1])["users"]
    assert snapshot["requests_per_second"]["5m"] == len(range(0, 600, 7)[-43:]) / 300


def test_a_filter_finds_endpoints_that_are_not_among_the_first(log: Callable[..., Log]) -> None:
    watched = log(Watching(top=2))
    for number, name in enumerate(("a", "b", "c", "Rare", "rarer")):
        watched.write(*range(9 - number), path=f"/{name}", ms=100 - number)
    watched.step(10)
    assert [row.endpoint for row in watched.session.snapshot().endpoints] == ["/a", "/b"]
    watched.session.contains = "rare"
    found = watched.session.snapshot()
    assert [row.endpoint for row in found.endpoints] == [row.endpoint for row in found.busiest] == ["/Rare", "/rarer"]
    assert found.endpoints_total == 5


def test_late_lines_and_the_future(log: Callable[..., Log]) -> None:
    watched = log()
    watched.write(100)
    watched.step(100)
    watched.write(75)  # within --lateness
    watched.write(10)  # too late
    watched.write(3600)  # not yet
    watched.write(101)
    watched.step(101)
    snapshot = watched.session.snapshot()
    assert (snapshot.window_requests, snapshot.late, snapshot.ahead) == (3, 1, 1)
    assert snapshot.time == NOON + timedelta(seconds=101)
    made = watched.report()
    assert made["requests"] == 5, "the report has them all"
    assert [note.split(" lines ")[0] for note in made["notes"]] == ["1", "1"]


def test_rates_of_now_are_those_of_the_last_interval(log: Callable[..., Log]) -> None:
    """However long nobody has asked for a snapshot."""
    watched = log(Watching(from_start=True, interval=2.0))
    for second in range(0, 40, 2):
        watched.write(*[second] * (60 if second < 20 else 20))
        watched.now = second - 0.5
        watched.session.step("take")
        watched.step(second)
    for _ in range(2):
        snapshot = watched.session.snapshot()
        assert (snapshot.lines_per_second, snapshot.rates["now"]) == (10.0, 10.0)


def test_rates_after_a_clock_was_set_back(log: Callable[..., Log]) -> None:
    """Those of seconds that come again are of what came last."""
    watched = log(Watching(from_start=True))
    for second in range(0, 600, 10):
        watched.write(second)
    watched.step(600)
    for second in range(600, 900, 10):
        watched.write(second - 300)
        watched.step(second)
    assert watched.session.snapshot().rates["5m"] == pytest.approx(0.1, rel=0.15)


def test_windows_move_on_while_nothing_comes(log: Callable[..., Log]) -> None:
    watched = log(Watching(window=60))
    watched.write(*range(30))
    watched.step(30)
    assert watched.session.snapshot().rates["1m"] == 0.5
    watched.step(300)
    quiet = watched.session.snapshot()
    assert (quiet.rates["1m"], quiet.window_requests, quiet.requests) == (0.0, 0, 30)
    assert quiet.time == NOON + timedelta(seconds=29 + 270)


@pytest.mark.parametrize("over_time", [False, True])
def test_minutes_past_keep_are_dropped_and_counted(log: Callable[..., Log], *, over_time: bool) -> None:
    watched = log(Watching(keep=600), over_time=over_time)
    for minute in range(30):
        watched.write(60 * minute, user=minute)
        watched.step(60 * minute)
    assert len(watched.session._windows._versions) == 30
    made, expected = watched.report(), logstats.report(watched.path).to_dict()
    assert len(made["minutes"]) == len(made["unique_users"]["per_minute"]) == 11
    assert made["minutes"] == expected["minutes"][-11:]
    for key in ("requests", "bytes", "status", "endpoints_total"):
        assert made[key] == expected[key]
    assert made["unique_users"]["total"] == 30
    assert made["notes"] == ["19 requests before 2025-01-17T12:19:00Z are not held by minute (--keep)"]


def test_where_it_begins(log: Callable[..., Log]) -> None:
    for watching, expected in (
        (Watching(window=60), 61),
        (Watching(lines=5), 5),
        (Watching(lines=0), 0),
        (Watching(from_start=True), 2000),
    ):
        watched = log(watching)
        watched.path.unlink(missing_ok=True)
        watched.write(*range(2000))
        watched.step(2000)
        assert watched.session.counts.lines == expected, watching
        watched.write(2001)
        watched.step(2001)
        assert watched.session.counts.lines == expected + 1


def test_begin_looks_further_back_where_lines_are_many(
    log: Callable[..., Log], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstats.live.begin.FIRST", 1000)
    watched = log(Watching(window=300))
    watched.write(*range(2000))
    watched.step(2000)
    assert watched.session.counts.lines == 301
    assert watched.session.newest_rejected is None


def test_lines_that_may_wait_are_read_together(tmp_path: Path, log: Callable[..., Log]) -> None:
    watched = log(Watching(from_start=True))
    session = watched.session

    def glance(at: float) -> int:
        watched.now = at
        assert not session.step("take")
        return session.counts.lines

    watched.write(0, path="/0")
    watched.step(0)
    watched.write(1, path="/1")
    assert glance(1) == 1
    watched.path.rename(tmp_path / "old")
    watched.write(1, path="/2")
    assert glance(1.3) == 1, "a third of a second after they came, lines of both files wait"
    with (tmp_path / "old").open("a") as file:
        file.write(watched.path.read_text().replace("/2", "/1.5"))
    assert glance(1.5) == 4, "half a second is the most"
    assert session.recent()["path"].to_list() == ["/0", "/1", "/1.5", "/2"]
    watched.write(3, path="/3")
    assert glance(3) == 4
    watched.step(3)
    assert session.counts.lines == 5, "what does not wait is read"
    watched.write(4)
    assert glance(4) == 5
    assert watched.report()["requests"] == 6, "nothing waits at the end"


def test_much_does_not_wait(log: Callable[..., Log]) -> None:
    watched = log(Watching(from_start=True))
    watched.write(*[0.0] * 50_000)
    watched.session.step("take")
    assert watched.session.counts.lines == 50_000


def test_a_file_made_anew_is_read_as_the_one_before(
    tmp_path: Path, log: Callable[..., Log], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    detect = Detector.detect
    monkeypatch.setattr(Detector, "detect", lambda self, *given: asked.append(given) or detect(self, *given))
    watched = log(Watching(from_start=True))
    for number in range(5):
        watched.write(*[float(number)] * 20, ms=5)
        watched.step(number)
        watched.path.rename(tmp_path / f"old.{number}")
    assert len(asked) == 1
    watched.path.write_text("".join(f'{{"status": 200, "path": "/{n}", "duration_ms": 7}}\n' for n in range(20)))
    watched.step(5)
    watched.path.rename(tmp_path / "old.5")
    at = f"{NOON:%d/%b/%Y:%H:%M:%S} +0000"
    microseconds = [
        f'10.0.0.1 - - [{at}] "GET /b HTTP/1.1" 200 10 "-" "curl" {90_000 + n * n * 37 % 5_000}\n' for n in range(20)
    ]
    watched.path.write_text("".join(microseconds))
    watched.step(6)
    made = watched.report()
    assert (made["requests"], made["rejected"]) == (140, 0)
    assert [row["latency_ms"]["max"] for row in made["endpoints"] if row["endpoint"] == "/b"] == [94.477]
    assert made["latency_ms"]["min"] == 5.0


def test_a_unit_that_changes_with_the_file_is_told_by_its_numbers(tmp_path: Path, log: Callable[..., Log]) -> None:
    """Whole milliseconds, then whole microseconds: lines of one shape, as a report over the two files reads them."""
    watched, old = log(Watching(from_start=True)), tmp_path / "old"
    at = f"{NOON:%d/%b/%Y:%H:%M:%S} +0000"
    for number, duration in enumerate([lambda n: 20 + n * 37 % 400, lambda n: 90_000 + n * n * 3_701 % 50_000]):
        lines = (f'10.0.0.1 - - [{at}] "GET /b HTTP/1.1" 200 10 "-" "curl" {duration(n)}\n' for n in range(150))
        watched.path.write_text("".join(lines))
        watched.step(number)
        if not number:
            watched.path.rename(old)
    read = logstats.report([old, watched.path], percentiles=("50", "99")).to_dict()
    assert watched.report()["latency_ms"] == read["latency_ms"]
    assert (read["latency_ms"]["min"], read["latency_ms"]["max"] < 420) == (20.0, True)


def test_what_is_said_of_a_format_is_said_once(tmp_path: Path, log: Callable[..., Log]) -> None:
    watched = log(Watching(from_start=True))
    for number in range(4):
        watched.path.write_text(
            '{"status": 200, "path": "/a", "latency": 7}\n{"status": 200, "path": "/b", "latency": 9}\n'
        )
        watched.step(3.0 * number)
        watched.step(3.0 * number + 2.5)
        watched.path.rename(tmp_path / f"old.{number}")
    assert watched.report()["requests"] == 8
    notes = watched.session.counts.notes
    assert len(notes) == len(set(notes)) > 0


def test_lines_without_a_known_format_do_not_wait_for_ever(log: Callable[..., Log]) -> None:
    watched = log()
    watched.path.write_text("what is this\n")
    watched.step(0)
    assert watched.session.counts.lines == 0, "more lines would tell more"
    watched.step(10)
    assert (watched.session.counts.lines, watched.session.counts.rejected) == (1, 1)
    watched.write(11)
    watched.step(11)
    assert watched.session.counts.requests == 1


def test_objects_where_standard_output_is_no_terminal() -> None:
    data = (SAMPLES / "combined.log").read_bytes()
    ran = invoke("watch", "--interval", "100ms", "-", stdin=gzip.compress(data))
    assert ran.returncode == 0, ran.stderr
    *objects, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert objects[-1]["lines"] == last["report"]["lines"] == data.count(b"\n")
    assert b"format combined" in ran.stderr


def test_out_is_the_report(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    data = (SAMPLES / "combined.log").read_bytes()
    ran = invoke("watch", "-q", "--status", "5xx", "--out", str(out), stdin=data)
    assert (ran.returncode, ran.stderr) == (0, b"")
    same(json.loads(out.read_bytes()), json.loads(invoke("report", "--status", "5xx", "-o", "json", stdin=data).stdout))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "5"], "no length of time"),
        (["--interval", "1ms"], "too short"),
        (["--sort", "nonsense"], "--sort"),
        (["--allow", "10.0.0.0/8"], "--allow is about syslog"),
        (["syslog://x"], "no port is named"),
        (["s3://bucket/key"], "go on"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    ran = invoke("watch", *arguments, stdin=b"")
    assert ran.returncode == 2
    assert words in ran.stderr.decode()


def test_lengths_of_time() -> None:
    assert [seconds("x", text) for text in ("90s", "5m", "24h", "500ms", "1.5h")] == [90, 300, 86400, 0.5, 5400]
    with pytest.raises(UsageError):
        seconds("x", "-5m")


@pytest.mark.parametrize(
    "line",
    [
        # kubectl logs -f --prefix, docker compose logs -f, journalctl -f -o json
        "[pod/web-1/nginx] {}",
        "web-1  | {}",
        '{{"__REALTIME_TIMESTAMP":"1737115200000000","MESSAGE":{json},"PRIORITY":"6","_SYSTEMD_UNIT":"nginx.service"}}',
    ],
)
def test_what_comes_through_pipes(line: str) -> None:
    requests = [
        f'10.0.0.1 - - [17/Jan/2025:12:00:{second:02} +0000] "GET /a HTTP/1.1" 200 5 "-" "curl"' for second in range(30)
    ]
    data = "".join(line.format(request, json=json.dumps(request)) + "\n" for request in requests)
    ran = invoke("watch", "-q", stdin=data.encode())
    made = json.loads(ran.stdout.splitlines()[-1])["report"]
    assert (made["requests"], made["rejected"], made["status"]) == (30, 0, {"200": 30})


@pytest.mark.parametrize("prompt", [False, True])
def test_pace_looks_when_an_interval_ends(*, prompt: bool) -> None:
    now = 10.0
    pace = Pace(1.0, lambda: now, prompt=prompt)
    shown, read, looks = [], [], []
    while now < 20.5:
        looks.append(now)
        look = pace.look()
        if look == "show":
            shown.append(now)
        elif look == "read":
            read.append(now)
        now += 0.08 if look == "show" else 0.03  # which looking takes
        now += pace.wait()
    lasted = [later - at for at, later in pairwise(shown)]
    assert lasted[:4] == pytest.approx([0.75 if prompt else 1.0] * 4), "at first, it may take long"
    assert lasted[4:] == pytest.approx([0.92 if prompt else 1.0] * len(lasted[4:]))
    assert len(lasted) > 8
    before = [at - 0.15 for at in shown[1:]]
    assert read[: len(before)] == pytest.approx(before), "shortly before it ends"
    assert max(later - at for at, later in pairwise(looks)) <= 0.25


def test_pace_makes_up_for_nothing() -> None:
    now = 10.0
    pace = Pace(1.0, lambda: now)
    assert pace.look() == "show"
    now = 43.6
    assert pace.look() == "show"
    assert pace.look() != "show", "what nobody has seen is not made up for"
    for _ in range(9):
        now += pace.wait()
        if pace.look() == "show":
            break
    assert now == pytest.approx(44)


@pytest.mark.parametrize(
    ("showing", "more", "interval"),
    [(0.05, 0.0, 0.95), (0.05, 0.1, 0.85), (0.7, 0.0, 0.75), (0.05, 0.7, 0.75)],
    ids=["shown", "fetched after its event", "long", "fetched long after"],
)
def test_a_prompt_pace_is_sooner_by_what_it_takes_until_it_is_seen(
    showing: float, more: float, interval: float
) -> None:
    """Until it is seen, as a page that is fetched after its event; bounded, however long that takes."""
    now = 10.0
    pace = Pace(1.0, lambda: now, prompt=True)
    shown = []
    while now < 20:
        if pace.look() == "show":
            shown.append(now)
            now += showing
        now += max(pace.wait(more), 1e-6)  # a clock moves on
    lasted = [later - at for at, later in pairwise(shown)][5:]
    assert lasted == pytest.approx([interval] * len(lasted), abs=1e-4)
    assert len(lasted) > 4
