"""The configuration file: what it may say, what comes before what, and how a mistake in it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from program import invoke

ROOT = Path(__file__).parent.parent
SAMPLE = str(ROOT / "sample_logs" / "combined_time.log")


def run(
    *arguments: str, config: str | None = None, folder: Path, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit code and both outputs, with a configuration file below a home of its own."""
    home = folder / "home"
    (home / ".config" / "logstats").mkdir(parents=True, exist_ok=True)
    if config is not None:
        (home / ".config" / "logstats" / "config.toml").write_text(config, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "80", **(env or {})}
    done = invoke(*arguments, cwd=folder, env=environment, alone=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def values(folder: Path, config: str | None = None, env: dict[str, str] | None = None) -> dict[tuple[str, str], object]:
    """What `logstats config` says: (command, option) → [value, where it comes from]."""
    code, out, err = run("config", "-o", "json", config=config, folder=folder, env=env)
    assert (code, err) == (0, "")
    return {(row["command"], row["option"]): [row["value"], row["from"]] for row in json.loads(out)["defaults"]}


def test_every_option_of_every_command_has_a_default_and_says_where_it_is_from(tmp_path: Path) -> None:
    config = '[defaults]\ntz = "Europe/Berlin"\n[report]\ntop = 3\nexclude-path = ["/health", "/x,y"]\n'
    config += "[archive.add]\nfinal = true"
    before, after = values(tmp_path), values(tmp_path, config)
    assert before.keys() == after.keys() and len(before) > 100
    assert {source for _, source in before.values()} == {"built in"}  # type: ignore[misc]
    assert before["report", "tz"] == ["UTC", "built in"]
    assert after["report", "tz"] == after["formats detect", "tz"] == ["Europe/Berlin", "file"]
    assert after["report", "top"] == [3, "file"] and after["diff", "top"] == [10, "built in"]
    assert after["report", "exclude_path"] == [["/health", "/x,y"], "file"]
    assert after["archive add", "final"] == [True, "file"]
    assert values(tmp_path, config, {"LOGSTATS_ARCHIVE": "/a"})["query", "archive"] == ["/a", "environment"]


def test_defaults_are_in_force_and_the_command_line_comes_first(tmp_path: Path) -> None:
    config = '[report]\noutput = "json"\nstatus = "5xx"\n[defaults]\nstatus = ["404"]\nquiet = true\n'
    code, out, err = run("report", SAMPLE, config=config, folder=tmp_path)
    assert (code, err) == (0, "") and set(json.loads(out)["status_classes"]) == {"5xx"}
    _, out, _ = run("report", SAMPLE, "--status", "2xx", folder=tmp_path)
    assert set(json.loads(out)["status_classes"]) == {"2xx"}
    _, out, _ = run("report", SAMPLE, "-o", "csv", folder=tmp_path)
    assert out.startswith("method,")
    _, out, _ = run("parse", SAMPLE, folder=tmp_path)
    assert {json.loads(line)["status"] for line in out.splitlines()} == {404}


def test_a_default_gives_way_to_what_excludes_it(tmp_path: Path) -> None:
    """Each of these would be wrong usage if all of it had been typed."""
    config = """
        [defaults]
        format = "combined_time"
        archive = "nowhere"
        rejects = "rejects.log"
        [report]
        rows = true
        table = "minutes"
        email-to = "ops@example.com"
        [diff]
        before = "yesterday"
    """
    code, out, err = run(
        "report", "-q", SAMPLE, "--log-format", '%h %l %u %t "%r" %>s %b', config=config, folder=tmp_path
    )
    assert code in (0, 5), err
    code, out, err = run("report", "-q", SAMPLE, folder=tmp_path)
    assert (code, err) == (0, "") and "requests" in out
    _, out, _ = run("report", "-q", SAMPLE, "-o", "csv", folder=tmp_path)
    assert out.startswith("minute,")
    code, _, err = run("diff", "-q", SAMPLE, SAMPLE, folder=tmp_path)
    assert (code, err) == (0, "")
    assert run("query", "FROM logs", folder=tmp_path)[2].startswith("logstats: nowhere: ")
    other = {"LOGSTATS_ARCHIVE": "other"}
    assert run("query", "FROM logs", folder=tmp_path, env=other)[2].startswith("logstats: other:")


def test_the_archive_of_the_file_is_that_of_every_command(tmp_path: Path) -> None:
    config = f'[defaults]\narchive = "{tmp_path}/archive"\nquiet = true\n'
    assert run("archive", "init", config=config, folder=tmp_path)[0] == 0
    assert run("archive", "add", SAMPLE, folder=tmp_path) == (0, "", "")
    code, out, _ = run("report", "-o", "json", folder=tmp_path)
    assert code == 0 and json.loads(out)["requests"] == 897


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('tz = "UTC"', "tz stands outside of a table (write it below [defaults]"),
        ("[repot]\ntop = 3", "[repot] is no command (did you mean report"),
        ("[report]\ntopp = 3", "[report] topp is no option (did you mean top"),
        ("[defaults]\nexclude_stat = 3", "[defaults] exclude_stat is no option (did you mean exclude_status"),
        ("[archive]\nfinal = true", "[archive] final is no command"),
        ("[archive.ad]\nfinal = true", "[archive] ad is no command"),
        ("[report]\ntop = true", "[report] top = true (it is a whole number"),
        ('[report]\ntop = "3"', "it is a whole number"),
        ("[report]\ntop = 0", "0 is not in the range"),
        ("[report]\nstrict = 1", "[report] strict = 1 (it is true or false"),
        ("[report]\ntz = 1", "it is a text"),
        ("[report]\nby = [1]", "it is a text"),
        ('[report]\noutput = "pdf"', "--output 'pdf' is not known"),
        ('[report]\ntz = ""', "--tz is given, but empty"),
        ('[defaults]\noutput = "pdf"', "--output 'pdf' is not known"),
        ("[report", "config.toml: Expected ']'"),
        ("[report]\nversion = true", "version is no option"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, config: str, said: str) -> None:
    code, out, err = run("report", SAMPLE, config=config, folder=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"logstats: {tmp_path}/home/.config/logstats/config.toml: ")
    assert said in err.replace("\n  ", " (").replace("((", "(")


def test_a_kind_of_output_is_for_the_commands_that_have_it(tmp_path: Path) -> None:
    found = values(tmp_path, '[defaults]\noutput = "html"')
    assert found["report", "output"] == ["html", "file"] and found["slo", "output"] == ["table", "built in"]


def test_another_file_or_none(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[report]\ntop = 7")
    config = "[report]\ntop = 3"
    assert values(tmp_path, config)["report", "top"] == [3, "file"]
    assert values(tmp_path, config, {"LOGSTATS_CONFIG": "other.toml"})["report", "top"] == [7, "file"]
    assert values(tmp_path, config, {"LOGSTATS_CONFIG": ""})["report", "top"] == [None, "built in"]
    code, _, err = run("report", SAMPLE, folder=tmp_path, env={"LOGSTATS_CONFIG": "missing.toml"})
    assert code == 2 and "missing.toml: no such file" in err


def test_what_it_writes_it_reads(tmp_path: Path) -> None:
    """`-o toml` with every line in force gives the same defaults, those that are nothing left out."""
    before = values(tmp_path)
    _, text, _ = run("config", "-o", "toml", folder=tmp_path)
    lines = [line.removeprefix("# ") for line in text.splitlines()[1:] if not line.endswith("= ...")]
    after = values(tmp_path, "\n".join(lines))
    assert {key: value for key, (value, _) in before.items()} == {key: value for key, (value, _) in after.items()}  # type: ignore[misc]
    assert ["UTC", "file"] in after.values()


HOMES = {
    "none": {},
    "that is not there": {"HOME": "/nonexistent"},
    "that is no folder": {"HOME": "/dev/null"},
    "that is relative": {"HOME": "", "XDG_CONFIG_HOME": "here"},
    "that cannot be": {"HOME": "/x" * 5000},
}


@pytest.mark.parametrize("home", HOMES)
def test_without_a_home_everything_runs(tmp_path: Path, home: str) -> None:
    """As a system user that passwd does not know, where this test may become one."""
    become = ["setpriv", "--reuid=54321", "--clear-groups"] if os.geteuid() == 0 else []
    for command in (["report", "-q", SAMPLE], ["formats", "list"], ["config"]):
        done = subprocess.run(
            [*become, sys.executable, "-m", "logstats", *command],
            cwd=ROOT, env={"PATH": os.environ["PATH"], **HOMES[home]}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_home_that_nobody_may_look_into(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "logstats").mkdir(parents=True)
    (home / ".config" / "logstats" / "config.toml").write_text("[report]\nnonsense = 1")
    home.chmod(0)
    become = ["setpriv", "--reuid=54321", "--clear-groups"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*become, sys.executable, "-m", "logstats", "report", "-q", SAMPLE],
            cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": str(home)}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        home.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
