"""What the README and the manual show runs, and says what it shows.

A block that begins with ```console and stands below `<!-- run -->` is run: each line after `$ ` by bash, in a folder
with `sample_logs/`. The blocks below one `##` heading of the README share it; so do those of a page of the manual. A
command must succeed (`; echo $?` shows another exit code). Lines below it are what it prints on both outputs, where
`...` stands for any text, on a line of its own for any lines; no lines say nothing about that. A line that ends with
`\\` goes on. A command that is `logstats` with its arguments, and has nothing for a shell to do, runs in this process;
a shell starts forks (forked.py). In a block that begins with ```crontab, each line of a schedule is run as cron does,
with nothing but the block's variables in its environment.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import forked
import pytest
from program import invoke

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"<!-- run -->\n+```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CRONTAB = re.compile(r"<!-- run -->\n+```crontab\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)

# Foreign programs of the recipes: mail keeps what it was given, another host is this one, a pod logs the sample.
FOREIGN = {
    "sendmail": "exec cat > sent.eml",
    "ssh": 'shift; exec sh -c "$*"',
    "kubectl": "exec cat sample_logs/combined_time.log",
}


# Of the page that starts a process for each sample, a process for two.
SAMPLES = {"merge.md": ("combined_time.log", "combined_us.log")}


@dataclass(frozen=True)
class Command:
    place: str
    section: str
    line: int
    text: str
    shown: str


def commands(readme: str, page: str = "README.md") -> list[Command]:
    """All that are to be run, in order."""
    found = []
    for block in BLOCK.finditer(readme):
        above = re.findall(r"^## (.*)$", readme[: block.start()], re.MULTILINE)
        section = page if page != "README.md" else above[-1] if above else "first"
        places = list(COMMAND.finditer(block[1]))
        ends = [*(place.start() for place in places[1:]), len(block[1])]
        assert places and places[0].start() == 0, f"a block that begins with no command: {block[1][:80]!r}"
        for place, end in zip(places, ends, strict=True):
            line = readme[: block.start(1) + place.start()].count("\n") + 1
            found.append(Command(page, section, line, place[1], block[1][place.end() : end]))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether a text is what is shown, `...` standing for anything."""
    lines = [r"(?:.*\n)*?" if line == "..." else f"{_line(line)}\n" for line in shown.splitlines()]
    return re.fullmatch("".join(lines), printed) is not None


def _line(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "logstats" / "manual" / "pages").glob("*.md")}
EVERY = [command for place, text in {"README.md": README, **PAGES}.items() for command in commands(text, place)]
SECTIONS = {section: list(found) for section, found in groupby(EVERY, key=lambda c: c.section)}


@pytest.mark.parametrize("section", SECTIONS)
def test_section(section: str, tmp_path: Path) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "here"
    programs.mkdir()
    folder.mkdir()
    (folder / "sample_logs").mkdir()
    for sample in (ROOT / "sample_logs").iterdir():
        if sample.name in SAMPLES.get(section, sample.name):
            (folder / "sample_logs" / sample.name).symlink_to(sample)
    (folder / "scripts").symlink_to(ROOT / "scripts")
    for name, script in FOREIGN.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    forked.install(programs)
    environment = {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "80",
    }
    for command in SECTIONS[section]:
        code, printed = ran(command.text, folder, environment)
        where = f"{command.place}:{command.line}: {command.text}"
        assert code == 0, f"{where}\n{printed}"
        if command.shown:
            assert matches(command.shown, printed), f"{where}\nshown:\n{command.shown}\nprinted:\n{printed}"


def ran(text: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command: its exit code and what it printed on both outputs."""
    command, semicolon, _ = text.partition("; echo $?")
    arguments = plain(command)
    if arguments is not None:
        here = invoke(*arguments, cwd=folder, env=environment, alone=True, together=True)
        printed = here.stdout.decode()
        return (0, f"{printed}{here.returncode}\n") if semicolon else (here.returncode, printed)
    process = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    return process.returncode, process.stdout


def plain(text: str) -> list[str] | None:
    """The arguments of a command that is `logstats` with words and quoted texts that a shell leaves as they are."""
    joined = text.replace("\\\n", " ")
    unquoted = re.sub(r"""'[^']*'|"[^"$`\\!]*\"""", "", joined)
    if not re.fullmatch(r"logstats [\w\s.,:/=@%+-]*", unquoted):
        return None
    return shlex.split(joined)[1:]


def test_crontabs(tmp_path: Path) -> None:
    """With places of this machine instead of a server's."""
    tables = CRONTAB.findall(README)
    assert tables
    places = {
        "/usr/local/bin": str(Path(sys.executable).parent),
        "/var/lib/logstats": str(tmp_path),
        "/var/log/nginx/access.log*": str(ROOT / "sample_logs" / "combined_time.log"),
    }
    for table in tables:
        for ours, theirs in places.items():
            table = table.replace(ours, theirs)
        lines = table.splitlines()
        variables = [line for line in lines if re.match(r"\w+=", line)]
        path = f"PATH={Path(sys.executable).parent}"
        subprocess.run(["env", "-i", path, "logstats", "archive", "init", str(tmp_path / "archive")], check=True)
        for line in lines[len(variables) :]:
            command = re.fullmatch(r"(?:[\d*/,-]+ ){5}(.*)", line)
            assert command and not re.search(r"(?<!\\)%", line), line  # cron takes a bare % for the end
            run = ["env", "-i", *variables, "/bin/sh", "-c", command[1].replace(r"\%", "%")]
            ran = subprocess.run(run, cwd="/", capture_output=True, text=True, timeout=120)
            assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", ""), line
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert (tmp_path / f"report-{yesterday:%Y-%m-%d}.html").exists()


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("logstats report a.log \\\n    --fail-if 'p99 > 5ms'", ["report", "a.log", "--fail-if", "p99 > 5ms"]),
        ("logstats query \"SELECT 1 WHERE a='b'\"", ["query", "SELECT 1 WHERE a='b'"]),
        ("logstats report *.log", None),
        ('logstats report "$HOME"', None),
        ("logstats report a.log | head", None),
        ("logstats report a.log; echo $?", None),
        ("A=1 logstats report a.log", None),
        ("logstats report ~/a.log", None),
    ],
)
def test_what_needs_no_shell(text: str, arguments: list[str] | None) -> None:
    assert plain(text) == arguments


def test_what_is_marked_is_found() -> None:
    assert README.count("<!-- run -->") == len(BLOCK.findall(README)) + len(CRONTAB.findall(README)) > 0
    text = "## A\n<!-- run -->\n```console\n$ one \\\n    two\n1\n...\n$ three\n```\n"
    assert [(c.section, c.line, c.text, c.shown) for c in commands(text)] == [
        ("A", 4, "one \\\n    two", "1\n...\n"),
        ("A", 8, "three", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a ... c\n", "a (b) c\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nd\n", True),
        ("a.c\n", "abc\n", False),
    ],
)
def test_dots_stand_for_anything(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same
