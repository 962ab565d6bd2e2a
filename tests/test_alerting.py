"""Who is told of alerts: standard error, the JSON stream, the screen, a command, a web address; and the daemon's."""

from __future__ import annotations

import json
import shlex
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from following import Clock
from program import invoke

from logstats import api
from logstats.archive.create import init
from logstats.errors import UsageError
from logstats.inputs import Tracker
from logstats.live.alerts.alerts import Change
from logstats.live.alerts.command import Command
from logstats.live.alerts.delivery import WAITING, Delivery
from logstats.live.alerts.webhook import ATTEMPTS, Webhook
from logstats.objectives.policy import parse as parse_policy

NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)
ALERT = ("--alert", "error_rate > 1% for 2m")


def lines(minute: int, failed: int, of: int = 20) -> str:
    """Requests of a minute after noon, of which so many failed."""
    at = NOON + timedelta(minutes=minute)
    return "".join(
        f'10.0.0.{number} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET /\x1b[31m HTTP/1.1" '
        f'{500 if number < failed else 200} 5 "-" "curl"\n'
        for number in range(of)
    )


INCIDENT = "".join(lines(minute, failed) for minute, failed in enumerate([0, 9, 9, 9, 0, 0, 0, 0])).encode()


class Server(HTTPServer):
    """Answers with `answers`, then with 200, and keeps what was posted."""

    def __init__(self, *answers: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.headers = list(answers), headers or {}
        self.got: list[tuple[dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/secret"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_alerts_are_said_and_in_the_stream() -> None:
    ran = invoke("watch", *ALERT, "-q", stdin=INCIDENT)
    assert ran.returncode == 0
    assert ran.stderr.decode().splitlines() == [
        "logstats: FIRING error_rate > 1% for 2m: error_rate is 45%, 44 points above 1% "
        "(since 2025-01-17 12:01:00 UTC)",
        "logstats: resolved error_rate > 1% for 2m: error_rate is 0%, 1 points below 1% "
        "(at 2025-01-17 12:06:00 UTC, it fired since 2025-01-17 12:01:00 UTC)",
    ]
    last = json.loads(ran.stdout.splitlines()[-2])
    assert [(change["state"], change["time"]) for change in last["alert_changes"]] == [
        ("firing", "2025-01-17T12:03:00Z"),
        ("resolved", "2025-01-17T12:06:00Z"),
    ]
    assert last["alerts"] == [
        {
            "condition": "error_rate > 1% for 2m",
            "state": "ok",
            "severity": None,
            "time": "2025-01-17T12:08:00Z",
            "since": None,
            "value": 0.0,
            "limit": 0.01,
            "unit": "ratio",
            "words": "error_rate is 0%, 1 points below 1%",
            "fired": 1,
            "resolved": "2025-01-17T12:06:00Z",
        }
    ]


def test_what_a_condition_holds_is_escaped() -> None:
    ran = invoke("watch", "--alert", "/\x1b[31m*: requests > 5", "-q", stdin=INCIDENT)
    assert b"logstats: FIRING /\\x1b[31m*: requests > 5: requests is 20, 15 (300.0%) above 5" in ran.stderr
    assert b"\x1b" not in ran.stderr + ran.stdout


def test_fail_fast_ends_with_3() -> None:
    ran = invoke("watch", *ALERT, "--fail-fast", "-q", stdin=INCIDENT)
    assert (ran.returncode, ran.stderr.count(b"FIRING")) == (3, 1)
    assert invoke("watch", "--alert", "error_rate > 50%", "--fail-fast", "-q", stdin=INCIDENT).returncode == 0


def test_a_command_gets_each_change_one_after_the_other(tmp_path: Path) -> None:
    out = tmp_path / "it's here"
    quoted = shlex.quote(str(out))
    command = f"test ! -e lock && touch lock && cat >> {quoted} && rm lock"
    ran = invoke("watch", *ALERT, "-q", "--exec", command, stdin=INCIDENT, cwd=tmp_path)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (0, 2)
    got = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(alert["state"], alert["since"], alert["sources"]) for alert in got] == [
        ("firing", "2025-01-17T12:01:00Z", ["-"]),
        ("resolved", "2025-01-17T12:01:00Z", ["-"]),
    ]


def test_a_command_that_fails_is_said(tmp_path: Path) -> None:
    ran = invoke("watch", *ALERT, "-q", "--exec", "echo '\033[31mno' >&2; exit 7", stdin=INCIDENT)
    said = ran.stderr.decode()
    assert ran.returncode == 0
    assert said.count("--exec: firing error_rate > 1% for 2m was not handed on: exit code 7: \\x1b[31mno") == 1


def test_a_command_takes_no_longer_than_it_may() -> None:
    stop = threading.Event()
    assert Command("sleep 60 & sleep 60", 0.2).send(b"{}", stop) == "it was killed after 0.2 s"
    assert Command("yes x | head -c 9000000 >&2; cat > /dev/null").send(b"{}", stop) == ""
    assert Command("exit 0").send(b"x" * 1_000_000, stop) == "", "one that reads nothing"
    assert Command("no-such-command-at-all").send(b"{}", stop).startswith("exit code 127")
    stop.set()
    assert Command("sleep 60").send(b"{}", stop) == "it was ended, because logstats ends"


def test_a_webhook_is_tried_again() -> None:
    with Server(503, 429, 500) as server:
        hook = Webhook.to(server.url, wait=0.001)
        assert hook.send(b'{"a": 1}', threading.Event()) == ""
    assert [body for _, body in server.got] == [{"a": 1}] * 4
    assert server.got[0][0]["Content-Type"] == "application/json"


def test_a_webhook_gives_up() -> None:
    with Server(*[502] * ATTEMPTS) as server:
        hook = Webhook.to(server.url, wait=0.001)
        assert hook.send(b"{}", threading.Event()) == "HTTP 502, 5 times"
        assert len(server.got) == ATTEMPTS
    assert hook.send(b"{}", threading.Event()) == "connection refused, 5 times"
    stop = threading.Event()
    stop.set()
    assert hook.send(b"{}", stop) == "connection refused; no further attempt, because logstats ends"


@pytest.mark.parametrize(
    ("answer", "place", "words"),
    [
        (404, "", "HTTP 404"),
        (302, "http://elsewhere.example/x", "HTTP 302 to elsewhere.example"),
        (300, "http://[x", "HTTP 300 to what is no address"),
        (304, "/x", "HTTP 304 to an address without a host"),
    ],
)
def test_what_is_of_no_use_is_not_tried_again(answer: int, place: str, words: str) -> None:
    with Server(answer, headers={"Location": place}) as server:
        assert Webhook.to(server.url).send(b"{}", threading.Event()) == words
        assert len(server.got) == 1


def test_waits_grow_and_differ() -> None:
    @dataclass
    class Stop:
        """An event that keeps how long it was waited for."""

        waited: list[float] = field(default_factory=list)

        def wait(self, seconds: float) -> bool:
            self.waited.append(seconds)
            return False

    chances = iter([0.0, 1.0, 0.5, 0.0])
    with Server(*[503] * ATTEMPTS, headers={"Retry-After": "3"}) as server:
        stop: Any = Stop()
        Webhook.to(server.url, chance=lambda: next(chances)).send(b"{}", stop)
    assert stop.waited == [3.0, 3.0, 3.0, 4.0], "half of 1, 2, 3/4 of 4, half of 8; the server asked for 3"


def test_slack_from_the_command_line() -> None:
    with Server() as server:
        url = server.url.replace("//", "//me:p%40ss@")
        arguments = ("--webhook", url, "--webhook-format", "slack")
        ran = invoke("watch", *ALERT, "-q", *arguments, stdin=INCIDENT)
    assert (ran.returncode, len(server.got)) == (0, 2)
    headers, body = server.got[0]
    assert body["text"].startswith(":red_circle: FIRING `error_rate &gt; 1% for 2m`: error_rate is 45%")
    assert headers["Authorization"] == "Basic bWU6cEBzcw=="


def test_an_address_is_a_secret() -> None:
    with Server(404, 404) as server:
        ran = invoke("watch", *ALERT, "-q", "--webhook", server.url, stdin=INCIDENT)
    assert b"--webhook 127.0.0.1: firing error_rate > 1% for 2m was not handed on: HTTP 404" in ran.stderr
    assert b"secret" not in ran.stderr
    for wrong in ("ftp://x/y", "http:///x", "https://x:no/", "http://a b/", "http://x/\n", "hooks.example/x"):
        with pytest.raises(UsageError, match="no web address"):
            Webhook.to(wrong)


def test_nobody_waits_for_one_who_is_slow() -> None:
    class Slow:
        name = "slow"

        def __init__(self) -> None:
            self.got: list[bytes] = []
            self.go = threading.Event()

        def send(self, body: bytes, stop: threading.Event) -> str:
            assert self.go.wait(30)
            self.got.append(body)
            return ""

    slow, said = Slow(), list[str]()
    delivery = Delivery(slow, said.append)
    for number in range(WAITING + 50):
        delivery.hand(str(number), b"%d" % number)
    assert said == [f"slow: {WAITING} alerts wait already; until there is room, none is handed on"]
    slow.go.set()
    delivery.close(30)
    assert slow.got == [b"%d" % number for number in range(len(slow.got))]
    assert len(slow.got) in (WAITING, WAITING + 1)


def test_what_is_on_its_way_when_all_ends_is_said() -> None:
    said: list[str] = []
    delivery = Delivery(Command("sleep 60"), said.append)
    for name in ("one", "two"):
        delivery.hand(name, b"{}")
    delivery.close(0.05)
    assert said == [
        "--exec: one was not handed on: it was ended, because logstats ends",
        "--exec: logstats ends, and 1 alerts were not handed on",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["watch", "--exec", "true"], "--exec is about --alert or --policy"),
        (["watch", "--fail-fast"], "--fail-fast is about --alert or --policy"),
        (["watch", *ALERT, "--webhook-format", "slack"], "--webhook-format is about --webhook"),
        (["watch", *ALERT, "--webhook", "x"], "--webhook: this is no web address"),
        (["watch", "--alert", "p99 > 5"], "expected a unit: 5ms or 5s\n  p99 > 5\n         ^"),
        (["watch", "--alert", "p99 > 5s for 10s"], "alerts go by whole minutes"),
        (["watch", "--policy", "none.toml"], "none.toml: no such file"),
        (["archive", "add", "x", "--archive", "y", *ALERT], "--alert is about --follow"),
        (["archive", "add", "x", "--archive", "y", "--every", "5s"], "--every is about --follow"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    ran = invoke(*arguments)
    assert (ran.returncode, message in ran.stderr.decode()) == (2, True), ran.stderr


def test_alerts_from_the_configuration_file(tmp_path: Path) -> None:
    """In the plural, too; and where there is nothing to follow, they are left alone."""
    config = tmp_path / "config.toml"
    config.write_text('[defaults]\nalerts = ["error_rate > 1% for 2m", "max > 1h"]\nfail-fast = true\n')
    env = {"LOGSTATS_CONFIG": str(config)}
    assert invoke("watch", "-q", stdin=INCIDENT, env=env).returncode == 3
    log, archive = tmp_path / "access.log", tmp_path / "archive"
    log.write_bytes(INCIDENT)
    init(archive)
    assert invoke("archive", "add", "-q", str(log), "--archive", str(archive), env=env).returncode == 0


class Daemon:
    """A daemon with alerts that commits when it is told to; its clock and that of the log go together."""

    def __init__(self, folder: Path, *alerts: str, **options: Any) -> None:
        self.archive, self.log = folder / "archive", folder / "access.log"
        self.log.touch()
        init(self.archive)
        self.changes: list[Change] = []
        self.said: list[str] = []
        self.clock = Clock()
        self.health = folder / "health.json"
        self.start(*alerts, **options)

    def start(self, *alerts: str, **options: Any) -> None:
        """Another process, with nothing but what is on disk."""
        self.daemon = api.add_following(
            [self.log],
            self.archive,
            alerts=alerts,
            changed=self.changes.append,
            say=self.said.append,
            health=self.health,
            **options,
        )
        self.daemon.clock, self.daemon.wall = self.clock, lambda: TODAY + self.clock.now
        self.daemon._next_tier = float("inf")
        self.tracker = Tracker([str(self.log)], say=self.said.append, clock=self.clock)

    def commit(self, minute: int, text: str = "") -> list[tuple[str, int]]:
        """Add what has come by a minute after noon: the changes, and the minutes that they are of."""
        with self.log.open("a") as file:
            file.write(text)
        self.clock.now = 1000.0 + 60 * minute
        self.tracker.look()
        assert self.daemon.attempt(self.tracker), self.said
        found = [(change.state, (change.time - NOON) // timedelta(minutes=1)) for change in self.changes]
        self.changes.clear()
        return found


TODAY = time.time()
RULES = ("error_rate > 1% for 2m", "requests == 0 for 3m", "rejected > 2%")
COMMITS = [
    (0, lines(0, 0), []),
    (3, lines(1, 5) + lines(2, 5) + "what is this\n", []),
    (4, lines(3, 5), []),
    (5, lines(4, 5), [("firing", 3), ("firing", 3)]),
    (8, "".join(lines(minute, 0) for minute in (5, 6, 7)), [("resolved", 5)]),
    (11, "", [("resolved", 7)]),  # nothing has come since
    (13, "", [("firing", 11)]),
]


def test_a_daemon_judges_what_it_has_added(tmp_path: Path) -> None:
    one = Daemon(tmp_path, *RULES)
    for minute, text, changes in COMMITS:
        assert one.commit(minute, text) == changes, minute
    assert one.said == []


def test_what_fires_or_is_pending_survives_a_restart(tmp_path: Path) -> None:
    """Each commit is that of another daemon, and the changes are those of one alone. Burn rates look back further."""
    policy = parse_policy(
        'window = "30d"\n[[objective]]\nname = "up"\ngood = "status < 500"\ntarget = 99.9\n', "slo.toml"
    )
    for folder in ("alone", "again"):
        (tmp_path / folder).mkdir()
    alone, again = (Daemon(tmp_path / folder, *RULES, policy=policy) for folder in ("alone", "again"))
    standing = {}
    for minute, text, changes in COMMITS:
        expected = alone.commit(minute, text)
        again.start(*RULES, policy=policy)
        assert again.commit(minute, text) == expected
        assert [change for change in changes if change not in expected] == []
        standing[minute] = json.loads(again.health.read_bytes())
        assert standing[minute]["firing"] == json.loads(alone.health.read_bytes())["firing"]
    assert [state["condition"] for state in standing[4]["pending"]] == ["error_rate > 1% for 2m"]
    firing = [state["condition"] for state in standing[5]["firing"]]
    assert firing[:2] == ["error_rate > 1% for 2m", "rejected > 2%"]
    assert firing[2:], "the policy"
    assert alone.said == []
    assert {said.partition(",")[0] for said in again.said} == {"alert fires still"}


def test_what_was_kept_of_alerts_is_checked(tmp_path: Path) -> None:
    one = Daemon(tmp_path, *RULES)
    one.commit(0, lines(0, 0))
    (file,) = (one.archive / "work").glob("alerts-*.json")
    for kept, said in (
        ("{", "cannot be read, and is ignored"),
        ("", "cannot be read, and is ignored"),
        ('{"version": 2}', "cannot be read, and is ignored: it is of another version"),
        ('{"version": 1, "written": 1e9, "batches": 0}', "stood at 2001-09-09T01:46:40Z is too old, and ignored"),
        ('{"version": 1, "written": 1e300, "batches": 0}', "stood at an impossible time is too old, and ignored"),
        (
            json.dumps({"version": 1, "written": TODAY + 1000, "batches": {}}),
            "cannot be read, and is ignored: 'alerts'",
        ),
    ):
        file.write_text(kept)
        one.start(*RULES)
        assert one.commit(0) == []
        assert said in one.said.pop()
    assert [one.commit(minute, text) for minute, text, _ in COMMITS[1:4]] == [[], [], [("firing", 3), ("firing", 3)]]
    assert one.said == []


def test_a_daemon_ends_at_the_first_alert(tmp_path: Path) -> None:
    log, archive = tmp_path / "access.log", tmp_path / "archive"
    log.write_bytes(INCIDENT)
    init(archive)
    arguments = ("--archive", str(archive), "--follow", *ALERT, "--fail-fast", "-q")
    ran = invoke("archive", "add", str(log), *arguments)
    assert (ran.returncode, ran.stderr.count(b"FIRING")) == (3, 1), ran.stderr
    assert api.report(archive=archive).requests == 160
