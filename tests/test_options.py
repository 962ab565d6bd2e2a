"""Options are declared once: what a declaration says is parsed, completed and checked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from logstats.cli.options import FILTERS, READING, Option
from logstats.errors import UsageError


@pytest.mark.parametrize(
    ("spelling", "names", "metavar"),
    [
        ("--strict", ["--strict"], None),
        ("--format NAME", ["--format"], "NAME"),
        ("-o, --output KIND", ["-o", "--output"], "KIND"),
        ("--progress/--no-progress", ["--progress/--no-progress"], None),
        ("--status 5xx,404", ["--status"], "5xx,404"),
    ],
)
def test_a_spelling_is_names_and_a_value(spelling: str, names: list[str], metavar: str | None) -> None:
    option = Option(spelling, "What it does.")
    assert (option.param_decls, option.metavar) == (names, metavar)


@pytest.mark.parametrize("value", ["", [""], ["a", " , "]])
def test_what_is_given_but_empty_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="--format is given, but empty"):
        Option("--format NAME", "…").check(value)


def test_words_that_are_closed_are_checked() -> None:
    option = Option("-o, --output KIND", "…", values=("table", "json"), closed=True)
    option.check("json")
    with pytest.raises(UsageError, match="--output 'pdf' is not known"):
        option.check("pdf")


def test_every_shared_option_is_declared_once() -> None:
    names = [shared.name for shared in (*READING, *FILTERS)]
    assert len(set(names)) == len(names) > 15
    assert {"log_format", "exclude_status", "tz"} <= set(names)


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    environment = {
        **os.environ,
        "_LOGSTATS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["logstats", *words]),
        "COMP_CWORD": str(len(words)),
    }
    run = [sys.executable, "-m", "logstats"]
    # Typer asks for the program by the name that it was started with.
    code = "import sys; sys.argv[0] = 'logstats'; from logstats.__main__ import main; main()"
    done = subprocess.run([run[0], "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("report", "--sort", "p"), ["p99", "p95", "p50"]),
        (("report", "--by", "user"), ["user_id", "user_agent"]),
        (("report", "--user-key", "i"), ["ip+agent"]),
        (("report", "--format", "hapro"), ["haproxy", "haproxy_json"]),
        (("formats", "show", "hapro"), ["haproxy", "haproxy_json"]),
        (("report", "--tz", "Europe/Berl"), ["Europe/Berlin"]),
        (("report", "-o", "m"), ["markdown"]),
        (("report", "--output", "h"), ["html"]),
        (("report", "--status", "404,5"), ["404,5xx"]),
        (("report", "--table", "over"), ["over_time"]),
        (("parse", "-o", "j"), ["jsonl"]),
        (("query", "-o", "j"), ["jsonl"]),
    ],
)
def test_values_are_completed(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered


def test_completing_values_loads_nothing_heavy() -> None:
    """What keeps it fast: a process that completes has none of the libraries that read logs."""
    code = (
        "import sys\n"
        "from typer.main import get_command\n"
        "from logstats.cli.main import app\n"
        "from logstats.cli.options import Option\n"
        "def below(command):\n"
        "    yield command\n"
        "    for sub in getattr(command, 'commands', {}).values(): yield from below(sub)\n"
        "asked = 0\n"
        "for command in below(get_command(app)):\n"
        "    for param in command.params:\n"
        "        complete = getattr(param, '_custom_shell_complete', None)\n"
        "        if complete is not None: asked += len(complete(None, param, '')) > 0\n"
        "assert asked > 20, asked\n"
        "print(*sorted({'polars', 'pyarrow', 'duckdb', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout.split()
