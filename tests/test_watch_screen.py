"""The screen of `logstats watch`: it fits, nothing of a log reaches the terminal, and keys do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats import api
from logstats.live.screen import Screen
from logstats.live.session import Session
from logstats.live.snapshot import Snapshot
from logstats.live.view import View, keys
from logstats.live.watching import Watching

SAMPLES = Path(__file__).parent.parent / "sample_logs"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session that has read hostile lines."""
    path = tmp_path_factory.mktemp("log") / "a\x1b[31m.log"
    lines = [
        f'10.0.0.{n % 9} - - [17/Jan/2025:12:{n // 60:02}:{n % 60:02} +0000] "GET /{name}/x HTTP/1.1" {status} 5 '
        f'"-" "curl" 0.{n % 1000:03}'
        for n, (name, status) in enumerate([("päth", 200), ("日本語" * 30, 404), ("\x1b[2J\u202e", 500)] * 400)
    ]
    path.write_text("\n".join(lines) + "\n\x1b]0;title\x07 [bold]not a line[/bold]\n", encoding="utf-8")
    alerts = ["error_rate > 1%", "error_rate > 2%", "max > 1ms for 2m", "/\x1b[2J*, 日本語*: requests == 0", "max > 1h"]
    made = api.watch([path], watching=Watching(from_start=True, window=3600), alerts=alerts)
    while made.step():
        pass
    made.note("something \x1b[31m was noted")
    return made


@pytest.fixture(scope="module")
def snapshot(session: Session) -> Snapshot:
    return session.snapshot()


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (150, 12), (20, 5), (1, 1)])
@pytest.mark.parametrize("view", [View(), View(help=True), View(filter="x", typing=True, paused=True), None])
def test_it_fits(session: Session, snapshot: Snapshot, size: tuple[int, int], view: View | None) -> None:
    if view is None:
        row = snapshot.endpoints[0]
        view = View(inside=(row.method, row.endpoint))
    for unicode in (True, False):
        lines = Screen(unicode=unicode).lines(snapshot, view, session.recent(), *size)
        assert len(lines) <= size[1]
        for line in lines:
            assert line.cell_len <= size[0]
            assert line.plain.isprintable()
    if size == (80, 24):
        assert len(lines) == 24 or view.help


def test_figures_stand_on_it(session: Session, snapshot: Snapshot) -> None:
    text = "\n".join(line.plain for line in Screen().lines(snapshot, View(), session.recent(), 80, 24))
    assert "1,201 lines  1 rejected" in text
    assert "2xx 33.3% (400)  4xx 33.3% (400)  5xx 33.3% (400)" in text
    text = "\n".join(line.plain for line in Screen().lines(snapshot, View(), session.recent(), 200, 50))
    assert r"\x1b]0;title\x07 [bold]not a line" in text
    assert "9 this hour" in text


def test_alerts_stand_out_without_colour(session: Session, snapshot: Snapshot) -> None:
    for size in ((80, 24), (40, 10)):
        lines = [line.plain for line in Screen(unicode=False).lines(snapshot, View(), session.recent(), *size)]
        assert [line.split(" > ")[0] for line in lines[1:4]] == [
            " FIRING  since 12:00 error_rate",
            " FIRING  since 12:00 error_rate",
            " FIRING  since 12:00 max",
        ]
        assert lines[4] == " and 1 more alert"


def test_keys() -> None:
    assert [*keys(b"qs\x1b[A\x1b[B\r\x1b?/\x7f\xc3\xa4\x1b[5~\x00p")] == [
        *("q", "s", "up", "down", "enter", "escape", "?", "/", "backspace", "ä", "p")
    ]


@given(st.binary(max_size=40))
def test_whatever_is_typed(data: bytes) -> None:
    view = View()
    for key in keys(data):
        view.press(key, None)
        assert key.isprintable()


def test_what_keys_do(snapshot: Snapshot) -> None:
    view = View()
    for key in ("down", "down", "down", "down", "up"):
        view.press(key, snapshot)
    assert view.chosen == len(snapshot.endpoints) - 2
    view.press("enter", snapshot)
    row = snapshot.endpoints[view.chosen]
    assert view.inside == (row.method, row.endpoint)
    view.press("escape", snapshot)
    assert view.inside is None
    for key in ("/", "P", "ä", "q", "backspace", "enter"):
        assert not view.press(key, snapshot), "q is a letter here"
    assert view.filter == "Pä"
    assert len(view.shown(snapshot.endpoints)) == 1
    view.press("escape", snapshot)
    assert view.filter == ""
    view.press("s", snapshot)
    assert view.sort == "p99"
    view.press("p", snapshot)
    assert view.paused
    assert view.press("q", snapshot)


class Terminal:
    """tmux, in which a program runs."""

    def __init__(self, command: str, socket: str, columns: int, rows: int) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-L", socket]
        size = ("-x", str(columns), "-y", str(rows))
        self.run("new-session", "-d", *size, command)

    def run(self, *arguments: str) -> str:
        ran = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, timeout=60)
        return ran.stdout

    def until(self, what: str | Callable[[str], object], seconds: float = 60) -> str:
        """The screen, as soon as it shows something."""
        end = time.monotonic() + seconds
        while True:
            text = self.run("capture-pane", "-p", "-S", "-200")
            if what in text if isinstance(what, str) else what(text):
                return text
            assert time.monotonic() < end, text


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_in_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes((SAMPLES / "combined.log").read_bytes())
    size = len(path.read_bytes().splitlines())
    alert = "--alert 'users < 10000 for 3m'"
    command = f"{sys.executable} -m logstats watch --from-start --window 24h {alert} {path}; echo code $?; cat"
    terminal = Terminal(command, f"logstats-{tmp_path.name}", 80, 24)
    try:
        first = terminal.until("endpoints by avg")
        assert len(first.rstrip("\n").splitlines()) == 24
        assert f"{size} lines" in first
        assert " FIRING  since 00:" in first
        assert "logstats:" not in first, "where the screen is, nothing else is written"
        with path.open("ab") as file:
            file.write(b'10.0.0.1 - - [17/Jan/2025:23:59:59 +0000] "GET /appended HTTP/1.1" 200 5 "-" "curl"\n')
        terminal.until(f"{size + 1} lines")
        terminal.run("send-keys", "s")
        terminal.until("endpoints by p99")
        terminal.run("send-keys", "/")
        terminal.run("send-keys", "appended")
        terminal.until("/appended▏")
        terminal.run("send-keys", "Enter")
        terminal.run("send-keys", "Enter")
        assert re.search(r"last +1 request kept: 200 1", terminal.until("kept"))
        terminal.run("send-keys", "Escape")
        terminal.until("endpoints by p99")
        terminal.run("send-keys", "?")
        terminal.until("this help")
        terminal.run("send-keys", "p")
        terminal.run("send-keys", "p")
        terminal.until("PAUSED")
        terminal.run("send-keys", "p")
        terminal.run("resize-window", "-x", "200", "-y", "50")
        terminal.until(lambda text: "most failing" in text and len(text.rstrip("\n").splitlines()) == 50)
        terminal.run("send-keys", "q")
        last = terminal.until("code 0")
        assert "Slowest endpoints" in last or "Busiest endpoints" in last
        assert "logstats: FIRING users < 10000 for 3m: users is" in last
    finally:
        terminal.run("kill-server")
