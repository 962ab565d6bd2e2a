"""The report on a screen: as wide as it is, nothing from a log acts on it, colour only where there is some."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hostile import hostile_log
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

import logstats
from logstats.reports.model import Report
from logstats.reports.printable import printable
from logstats.reports.terminal import render

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "sample_logs" / "combined_time.log"
SGR = re.compile(r"\x1b\[[0-9;]*m")
BY = ["client_ip", "user_agent", "host", "referer", "app_name", "user_id", "status", "method"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("hostile") / "a\x1b[31m\u202elog.json"
    path.write_bytes(hostile_log())
    return logstats.report([path, path.with_name("none\x07.log")], by=BY, templates=False)


@pytest.fixture(scope="module")
def sample() -> Report:
    return logstats.report(SAMPLE, by=BY)


WIDE = "\u65e5\u672c\u8a9e\U0001f600" * 30


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("wide") / "a.log"
    line = "2025-01-17 10:30:00 GET"
    path.write_text(f"{line} /{WIDE} 200 125ms user={WIDE}\n{line} /{WIDE[:9]} 500 0.125ms\n{WIDE}\n")
    return logstats.report(path, by=BY)


def no_orders(text: str) -> None:
    for char in text.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"), repr(char)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", ["hostile", "sample", "wide"])
def test_no_line_is_wider_and_nothing_acts(
    name: str, width: int, unicode: bool, request: pytest.FixtureRequest
) -> None:
    report = request.getfixturevalue(name)
    text = render(report, width=width, top=30, unicode=unicode)
    no_orders(text)
    for line in text.split("\n"):
        assert cell_len(line) <= width, line
    coloured = render(report, width=width, top=30, colour=True, unicode=unicode)
    assert SGR.search(coloured)
    no_orders(SGR.sub("", coloured))
    assert "\x1b" not in SGR.sub("", coloured)
    for line in SGR.sub("", coloured).split("\n"):
        assert cell_len(line) <= width, line


def test_colour_changes_no_character(sample: Report) -> None:
    assert [line.rstrip() for line in SGR.sub("", render(sample, colour=True)).split("\n")] == render(sample).split(
        "\n"
    )


@settings(max_examples=200)
@given(st.text())
def test_printable_is_and_plain_text_stays(text: str) -> None:
    shown = printable(text)
    no_orders(shown)
    assert "\n" not in shown
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize("name", ["hostile", "sample", "wide"])
def test_ascii_where_there_is_no_more(name: str, request: pytest.FixtureRequest) -> None:
    assert render(request.getfixturevalue(name), unicode=False, width=80, top=30).isascii()


def on_a_terminal(*arguments: str, columns: int = 80, **env: str) -> tuple[int, str]:
    """Run it with all three streams on a terminal; exit code and everything it wrote."""
    parent, child = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")}
    environment.update(
        {"TERM": "xterm-256color", "PYTHONUTF8": "1", "COLUMNS": str(columns), "LOGSTATS_PAGER": "", **env}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "logstats", *arguments], stdin=child, stdout=child, stderr=child, env=environment
    )
    os.close(child)
    seen = b""
    while True:
        try:
            piece = os.read(parent, 1 << 16)
        except OSError:  # Linux's way to say that the other end has gone
            break
        if not piece:
            break
        seen += piece
    os.close(parent)
    return process.wait(60), seen.decode().replace("\r\n", "\n")


def test_colour_on_a_terminal_only() -> None:
    code, seen = on_a_terminal("report", "-q", str(SAMPLE))
    assert code == 0
    assert "\x1b[32m" in seen and "897 requests" in seen
    ran = subprocess.run(
        [sys.executable, "-m", "logstats", "report", "-q", str(SAMPLE)], capture_output=True, timeout=60
    )
    assert b"897 requests" in ran.stdout and b"\x1b" not in ran.stdout


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour(env: dict[str, str]) -> None:
    _, seen = on_a_terminal("report", "-q", str(SAMPLE), **env)
    assert "897 requests" in seen and "\x1b" not in seen


def test_nothing_to_read_from_a_terminal() -> None:
    code, seen = on_a_terminal("report")
    assert code == 2
    assert "no source is named and standard input is the terminal" in seen


def test_parquet_is_not_for_terminals() -> None:
    code, seen = on_a_terminal("parse", str(SAMPLE), "-o", "parquet")
    assert code == 2
    assert seen == "logstats: Parquet is not for terminals (add --out FILE, or pipe it on)\n"


def test_the_c_locale_gets_ascii_and_escapes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("2025-01-17 10:30:00 GET /gr\u00fc\u00dfe 200 125ms\n")
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "logstats", "report", "-q", str(log)], capture_output=True, env=environment, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.isascii() and b"/gr\\xfc\\xdfe" in ran.stdout and b"=====" in ran.stdout


# ------------------------------------------------------------------ what it says


def test_what_an_engineer_wants_to_see(sample: Report) -> None:
    text = render(sample)
    assert text.startswith("897 requests \u00b7 9 errors (1.0%)")
    titles = ["Status", "Latency", "Over time", "Slowest endpoints", "Busiest endpoints", "Errors", "Rejected lines"]
    places = [text.index(f"\n{title}") for title in titles]
    assert places == sorted(places)


def test_forged_times_do_not_stretch_the_screen(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("0001-01-01 00:00:00 GET /a 200 1ms\n9999-12-31 23:59:59 GET /a 200 9999999999999ms\n")
    report = logstats.report(log)
    assert report.first == datetime(1, 1, 1, tzinfo=UTC)
    assert max(map(cell_len, render(report).split("\n"))) <= 80


def test_an_empty_report_at_any_width(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    for width in (1, 40, 80):
        assert render(logstats.report(tmp_path), width=width) == "no lines: the input is empty\n"


def test_what_could_not_be_read_is_not_called_empty(tmp_path: Path) -> None:
    assert render(logstats.report(tmp_path / "gone.log")).startswith("no lines: nothing could be read\n")
