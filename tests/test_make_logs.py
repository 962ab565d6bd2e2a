"""The generator of sample logs: its files are its own, and what it says of them is what somebody else counts.

The script runs with `-I -S`: without site-packages and the project's folder it can import nothing but the standard
library. The lines are read again here, by regular expressions that share nothing with the generator.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_logs"
FORMATS = (
    *("app", "common", "combined", "combined_time", "combined_us", "vhost_combined"),
    *("json", "json_nested", "logfmt", "kv"),
)  # fmt: skip


def make(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", str(ROOT / "scripts" / "make_logs.py"), *arguments]
    return subprocess.run(command, capture_output=True, timeout=60)


class Row(NamedTuple):
    """What a line says; `method` is "" for a malformed request, `status` None for an event."""

    time: datetime
    user: str | None
    method: str
    target: str
    status: int | None
    size: int
    micros: int | None


# ------------------------------------------------------------------------------------------------- reading it again

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_CLF = r"(\S+) - (.+?) \[([^\]]+)\] " + _QUOTED + r" ([0-9]{3}) ([0-9]+|-)"
_AGENT = rf" {_QUOTED} {_QUOTED}"
CLF = {
    "common": (_CLF, 0),
    "combined": (_CLF + _AGENT, 0),
    "combined_time": (_CLF + _AGENT + r" ([0-9]+\.[0-9]{3})", 1_000_000),
    "combined_us": (_CLF + _AGENT + r" ([0-9]+)", 1),
    "vhost_combined": (r"[a-z.]+(?::443)? " + _CLF + _AGENT, 0),
}
PREFIXED = {
    "app": r"(?P<time>\S+ \S+) (?P<method>[A-Z]+) (?P<path>/\S*) (?P<status>[0-9]+) "
    r"(?P<duration_ms>[0-9]+)ms(?P<pairs>.*)",
    "kv": r"\[(?P<time>[^\]]+)\] [A-Z]+ [A-Z][a-z ]+?(?P<pairs>(?: \S+=\S+)*)",
    "logfmt": r"(?P<pairs>(?:(?:^| )[a-z_]+=(?:\"[^\"]*\"|\S+))+)",
}


def read_clf(line: str, name: str) -> Row | None:
    pattern, unit = CLF[name]
    match = re.fullmatch(pattern, line)
    if not match:
        return None
    ip, user, stamp, request, status, size, *rest = match.groups()
    words = request.split(" ")
    known = words[0].isalpha() and words[0].isupper() and len(words) > 1
    target = " ".join(words[1:-1] if words[-1].startswith("HTTP/") else words[1:]) if known else ""
    time = datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S %z")
    micros = round(Fraction(rest[-1]) * unit) if unit else None
    who = user if user != "-" else ip
    return Row(time, who, words[0] if known else "", target, int(status), int(size) if size != "-" else 0, micros)


def read_json(line: str, _: str) -> Row | None:
    try:
        held = json.loads(line, parse_float=Fraction)
    except ValueError:
        return None
    if "time_iso8601" in held:
        time, who = datetime.fromisoformat(held["time_iso8601"]), held["remote_user"] or held["remote_addr"]
        micros = round(Fraction(held["request_time"]) * 1_000_000)
        size = held["body_bytes_sent"]
        return Row(time, who, held["request_method"], held["request_uri"], held["status"], size, micros)
    time = datetime.fromisoformat(held["@timestamp"])
    if "request" not in held:
        return Row(time, None, "", "", None, 0, None)
    request, answer = held["request"], held["response"]
    who = held["user"]["id"] or held["client"]["ip"]
    micros = round(Fraction(request["duration_ms"]) * 1000)
    return Row(time, who, request["method"], request["path"], answer["status"], answer["bytes"], micros)


def read_pairs(line: str, name: str) -> Row | None:
    match = re.fullmatch(PREFIXED[name], line)
    if not match:
        return None
    held = {k: v for k, v in match.groupdict().items() if k != "pairs"}
    held |= dict(re.findall(r'([a-z_]+)=("[^"]*"|\S+)', match["pairs"]))
    time = datetime.fromisoformat(held["time"])
    if "status" not in held:
        return Row(time.replace(tzinfo=UTC), None, "", "", None, 0, None)
    took = held.get("duration_ms") or held["duration"].removesuffix("ms")
    who = held.get("user") or held.get("user_id") or held.get("ip")
    size = int(held.get("bytes", 0))
    micros = round(Fraction(took) * 1000)
    return Row(time.replace(tzinfo=UTC), who, held["method"], held["path"], int(held["status"]), size, micros)


READERS: dict[str, Callable[[str, str], Row | None]] = {
    **dict.fromkeys(CLF, read_clf),
    **dict.fromkeys(PREFIXED, read_pairs),
    "json": read_json,
    "json_nested": read_json,
}


def endpoint(row: Row) -> str:
    if not row.method:
        return "(malformed)"
    path = re.sub(r"^http://[^/]+", "", row.target).partition("?")[0]
    path = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "{uuid}", path)
    path = re.sub(r"/[0-9]{4}-[0-9]{2}-[0-9]{2}$", "/{date}", path)
    path = re.sub(r"/[0-9]+(?=/|$)", "/{id}", path)
    path = re.sub(r"/[0-9a-f]{40}$", "/{hash}", path)
    path = re.sub(r"\.(?=[a-f0-9]*[0-9])(?=[a-f0-9]*[a-f])[0-9a-f]{8}\.", ".{hash}.", path)
    return f"{row.method} {path}"


def latency(rows: list[Row], percentiles: tuple[str, ...]) -> dict[str, Any] | None:
    ordered = sorted(row.micros for row in rows if row.micros is not None)
    if not ordered:
        return None
    ranks = {p: ceil(Fraction(p) * len(ordered) / 100) for p in percentiles}
    return {
        "count": len(ordered),
        "avg": float(Fraction(sum(ordered), 1000 * len(ordered))),
        "min": ordered[0] / 1000,
        "max": ordered[-1] / 1000,
        "percentiles": {p: ordered[rank - 1] / 1000 for p, rank in ranks.items()},
    }


def count(log: Path, name: str) -> dict[str, Any]:
    """The content of the truth, from the lines."""
    lines = log.read_text(encoding="ascii").removesuffix("\n").split("\n")
    rows = [row for line in lines if (row := READERS[name](line, name))]
    requests = [row for row in rows if row.status is not None]
    by_endpoint: dict[str, list[Row]] = defaultdict(list)
    users: dict[str, set[str]] = defaultdict(set)
    for row in requests:
        by_endpoint[endpoint(row)].append(row)
        if row.user:
            users[f"{row.time:%Y-%m-%dT%H:%M}:00Z"].add(row.user)
    return {
        "lines": len(lines),
        "requests": len(requests),
        "events": len(rows) - len(requests),
        "rejected": len(lines) - len(rows),
        "untimed": 0,
        "bytes": sum(row.size for row in requests),
        "time": {
            "first": f"{min(row.time for row in rows):%Y-%m-%dT%H:%M:%SZ}",
            "last": f"{max(row.time for row in rows):%Y-%m-%dT%H:%M:%SZ}",
        },
        "status": Counter(str(row.status) for row in requests),
        "status_classes": Counter(f"{str(row.status)[0]}xx" for row in requests),
        "latency_ms": latency(requests, ("50", "90", "95", "99", "99.9")),
        "unique_users": {
            "total": len(set().union(*users.values())),
            "per_minute": {minute: len(some) for minute, some in users.items()},
        },
        "endpoints": {
            key: {
                "requests": len(some),
                "errors": sum(row.status is not None and row.status >= 500 for row in some),
                "bytes": sum(row.size for row in some),
                "latency_ms": latency(some, ("50", "95", "99")),
            }
            for key, some in by_endpoint.items()
        },
    }


def truth_of(log: Path) -> Any:
    return json.loads(log.with_name(f"{log.name}.expected.json").read_text(encoding="ascii"))


# -------------------------------------------------------------------------------------------------------- the tests


def test_the_committed_samples_are_what_the_script_makes(tmp_path: Path) -> None:
    made = make("--out", str(tmp_path))
    assert (made.returncode, made.stderr) == (0, b"")
    names = sorted(f"{name}.log{end}" for name in FORMATS for end in ("", ".expected.json"))
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert sorted(path.name for path in SAMPLES.glob("*.log*")) == names
    different = [name for name in names if (tmp_path / name).read_bytes() != (SAMPLES / name).read_bytes()]
    assert different == [], "run scripts/make_logs.py"
    assert sum((SAMPLES / name).stat().st_size for name in names) < 2_000_000


@pytest.mark.parametrize("name", FORMATS)
def test_the_truth_of_a_sample_is_what_its_lines_say(name: str) -> None:
    log = SAMPLES / f"{name}.log"
    truth = truth_of(log)
    assert count(log, name) == truth
    assert truth["rejected"] == 3
    assert (truth["events"] > 0) == (name in ("json_nested", "kv"))


@pytest.mark.parametrize("name", ["combined_time", "kv"])
def test_the_truth_holds_for_minutes_of_more_than_a_block(name: str, tmp_path: Path) -> None:
    made = make("--out", str(tmp_path), "--format", name, "--lines", "40000", "--hours", "0.034", "--seed", "7")
    assert (made.returncode, made.stderr) == (0, b"")
    log = tmp_path / f"{name}.log"
    truth = truth_of(log)
    assert count(log, name) == truth
    assert truth["lines"] == 40_000
    assert truth["rejected"] == 40
    assert truth["time"]["first"] == "2025-01-17T00:00:00Z"


def test_odd_requests_are_where_their_server_writes_them() -> None:
    def holds(name: str) -> set[str]:
        text = (SAMPLES / f"{name}.log").read_text(encoding="ascii")
        odd = (
            '"-" 408',
            '"" 400',
            r'"\x16\x03\x01',
            '"GET /" ',
            '"GET /old bugs/list HTTP/1.1"',
            r" \"Bug",
            r" \x22Bug",
        )
        return {text_of_it for text_of_it in odd if text_of_it in text}

    everywhere = {'"-" 408', r'"\x16\x03\x01', '"GET /" ', '"GET /old bugs/list HTTP/1.1"'}
    assert holds("combined_us") == {*everywhere, r" \"Bug"}
    assert holds("combined_time") == {*everywhere, r" \x22Bug", '"" 400'}
    assert holds("common") == everywhere
    assert [name for name in FORMATS if truth_of(SAMPLES / f"{name}.log")["endpoints"].get("(malformed)")] == [
        *("common", "combined", "combined_time", "combined_us", "vhost_combined", "json")
    ]
    assert re.search(r'" 304 - "', (SAMPLES / "combined_us.log").read_text())
    assert not re.search(r'" [0-9]{3} - ', (SAMPLES / "combined_time.log").read_text())
    assert not re.search(r'" [0-9]{3} - ', (SAMPLES / "vhost_combined.log").read_text()), "%O counts the headers"


@pytest.fixture(scope="module")
def a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    made = make("--out", str(folder), "--format", "combined_us", "--lines", "60000", "--start", "2025-03-01")
    assert (made.returncode, made.stderr) == (0, b"")
    return folder / "combined_us.log"


def rows_of(log: Path) -> Iterator[Row]:
    for line in log.read_text(encoding="ascii").splitlines():
        if row := read_clf(line, "combined_us"):
            yield row


def test_a_day_is_realistic(a_day: Path) -> None:
    rows = list(rows_of(a_day))
    by_hour = Counter(row.time.hour for row in rows)
    assert by_hour[10] > 5 * by_hour[4]
    by_user = [number for _, number in Counter(row.user for row in rows).most_common()]
    assert sum(by_user[: len(by_user) // 100]) > len(rows) / 5, "few users ask most"
    assert by_user[0] < len(rows) / 20, "but none asks for all"
    late = [(before.time - row.time).total_seconds() for before, row in zip(rows, rows[1:], strict=False)]
    late = [seconds for seconds in late if seconds > 0]
    assert 0.003 * len(rows) < len(late) < 0.02 * len(rows)
    assert max(late) <= 2
    assert {row.status for row in rows} >= {200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 499, 500, 502, 503}
    assert sum(":" in (row.user or "") for row in rows) > 1000, "IPv6"
    assert len({row.target for row in rows}) > 10_000


def test_an_incident_of_25_minutes_has_errors_and_slow_answers(a_day: Path) -> None:
    minutes: dict[datetime, list[Row]] = defaultdict(list)
    for row in rows_of(a_day):
        if row.target.startswith("/api/"):
            minutes[row.time.replace(second=0)].append(row)

    def share(some: list[Row]) -> float:
        return sum((row.status or 0) >= 500 for row in some) / len(some)

    bad = [minute for minute, some in sorted(minutes.items()) if len(some) > 20 and share(some) > 0.08]
    assert 23 <= len(bad) <= 26
    assert bad[-1] - bad[0] <= timedelta(minutes=25)
    during = sorted(row.micros or 0 for minute in bad for row in minutes[minute])
    others = sorted(row.micros or 0 for minute, some in minutes.items() if minute not in bad for row in some)
    assert during[len(during) // 2] > 4 * others[len(others) // 2]
    assert others[len(others) * 999 // 1000] > 20 * others[len(others) // 2], "a heavy tail"


def test_lines_do_not_depend_on_the_truth_or_where_they_go(tmp_path: Path) -> None:
    arguments = ("--format", "json", "--lines", "2000", "--hours", "1")
    expected = tmp_path / "json.log.expected.json"
    assert make(*arguments, "--out", str(tmp_path)).returncode == 0
    assert expected.exists()
    lines = (tmp_path / "json.log").read_bytes()
    assert make(*arguments, "--out", str(tmp_path), "--no-truth").returncode == 0
    assert not expected.exists(), "a truth that was left lying there would be of another file"
    assert (tmp_path / "json.log").read_bytes() == lines
    assert make(*arguments, "--stdout").stdout == lines
    assert make(*arguments, "--stdout", "--seed", "2").stdout != lines


def test_there_can_be_200_000_users() -> None:
    made = make("--format", "common", "--lines", "5000", "--users", "200000", "--stdout")
    addresses = {line.split(b" ")[0] for line in made.stdout.splitlines()}
    assert len(addresses) > 3000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stdout",), b"--stdout takes one --format"),
        (("--lines", "0"), b"must be 1 or more"),
        (("--hours", "inf"), b"from a minute to ten years"),
        (("--start", "yesterday"), b"is no ISO 8601 date"),
        (("--format", "elf"), b"invalid choice"),
    ],
)
def test_wrong_usage_is_said_and_makes_nothing(arguments: tuple[str, ...], said: bytes, tmp_path: Path) -> None:
    made = make(*arguments, "--out", str(tmp_path))
    assert made.returncode == 2
    assert said in made.stderr
    assert b"Traceback" not in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_wide_is_many_keys_evenly() -> None:
    lines = make("--format", "combined_time", "--lines", "40000", "--wide", "--users", "500", "--stdout").stdout
    found = re.findall(r'^(.+?) \[.*"GET (/static/app\.[0-9]+\.js) ', lines.decode(), re.MULTILINE)
    users, endpoints = Counter(who for who, _ in found), Counter(path for _, path in found)
    assert len(found) > 39_000
    assert len(endpoints) > 9_500  # of 10,000, each asked for four times on average
    assert max(endpoints.values()) < 20
    assert len(users) >= 490
    assert max(users.values()) < 200  # 80 on average
    assert make("--wide").returncode == 2
