"""Objectives against a slow count of the same requests, against the workbook's table, and against broken policies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile import github_html
from program import invoke

import logstats
from logstats.errors import ObjectiveError
from logstats.objectives.policy import parse
from logstats.objectives.slo import Outcome, Result

SAMPLES = Path(__file__).parent.parent / "sample_logs"
AVAILABILITY = '[[objective]]\nname = "a"\ngood = "status < 500"\ntarget = 99.9\n'
NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)
Request = tuple[datetime, str, int | None, int | None]  # time, path, status, microseconds


def write(file: Path, requests: list[Request]) -> Path:
    """As combined_time logs them."""
    lines = []
    for time, path, status, micros in requests:
        took = "-" if micros is None else f"{micros / 1e6:.6f}"
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000")
        lines.append(f'10.0.0.1 - - [{stamp}] "GET {path} HTTP/1.1" {status or "-"} 10 "-" "agent" {took}\n')
    file.write_text("".join(lines))
    return file


def measure(log: Path, policy: str, **options: Any) -> Outcome:
    return logstats.slo([log], parse(policy, "slo.toml"), **options)


def only(outcome: Outcome) -> Result:
    (result,) = outcome.results
    return result


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Request]]:
    """10,000 requests of 80 hours, out of order, some without status or duration; an incident near the end."""
    random = Random(5)
    requests: list[Request] = []
    for _ in range(10_000):
        time = NOON - timedelta(seconds=random.randrange(80 * 3600))
        broken = NOON - time < timedelta(hours=2) and random.random() < 0.3
        status = None if random.random() < 0.01 else 500 if broken else random.choice([200, 200, 200, 304, 404])
        micros = None if random.random() < 0.01 else int(random.lognormvariate(11.5, 0.8))
        requests.append((time, random.choice(["/", "/api/bugs", "/api/bugs/17"]), status, micros))
    return write(tmp_path_factory.mktemp("slo") / "access.log", requests), requests


GOOD = {
    "status < 500": lambda status, micros: status and status < 500,
    "status < 400 and duration < 300ms": lambda status, micros: (
        False
        if (status and status >= 400) or (micros is not None and micros >= 300_000)
        else None
        if status is None or micros is None
        else True
    ),
    "duration <= 100000.5us": lambda status, micros: None if micros is None else micros <= 100_000,
}


@pytest.mark.parametrize("good", GOOD)
@pytest.mark.parametrize("window", ["30d", "3d", "6h"])
@pytest.mark.parametrize("until", [None, NOON - timedelta(minutes=40, seconds=10)])
def test_everything_against_a_slow_count(
    three_days: tuple[Path, list[Request]], good: str, window: str, until: datetime | None
) -> None:
    log, requests = three_days
    policy = f'window = "{window}"\n[[objective]]\nname = "x"\nselect = "GET /api/*"\ngood = "{good}"\ntarget = 99.5\n'
    result = only(measure(log, policy, until=until))

    counted = [r for r in requests if until is None or r[0] < until]
    last = max(r[0] for r in counted) if until is None else until - timedelta(seconds=1)
    end = last.replace(second=0) + timedelta(minutes=1)
    minutes = {"30d": 43_200, "3d": 4_320, "6h": 360}[window]
    first = min(r[0] for r in counted).replace(second=0)
    covered = min(minutes, int((end - first) / timedelta(minutes=1)))
    counted = [r for r in counted if r[1].startswith("/api/")]

    def verdicts(of: int) -> list[bool | None]:
        return [GOOD[good](r[2], r[3]) for r in counted if r[0] >= end - timedelta(minutes=of)]

    whole = verdicts(minutes)
    bad, judged = whole.count(False), len(whole) - whole.count(None)
    assert (result.requests, result.bad, result.good) == (len(whole), bad, judged - bad)
    assert (result.unknown, result.outside) == (whole.count(None), len(counted) - len(whole))
    assert result.indicator == pytest.approx((judged - bad) / judged, rel=1e-12)
    assert result.met == (Fraction(judged - bad, judged) >= Fraction("0.995"))
    budgets = result.budget_requests, result.budget_minutes
    assert budgets[0] and budgets[1]
    assert (budgets[0].total, budgets[0].spent) == (pytest.approx(judged * 0.005), bad)
    assert budgets[0].left == pytest.approx(judged * 0.005 - bad)
    assert (budgets[1].total, budgets[1].spent) == (minutes * 0.005, pytest.approx(bad / judged * covered))
    assert [b.minutes for b in result.burn] == [m for m in (5, 60, 360, 4320) if m <= minutes]
    left = budgets[1].total - budgets[1].spent
    for burn in result.burn:
        seen = verdicts(burn.minutes)
        known = len(seen) - seen.count(None)
        assert (burn.requests, burn.bad, burn.covered) == (known, seen.count(False), covered >= burn.minutes)
        rate = seen.count(False) / known / 0.005
        assert burn.rate == pytest.approx(rate)
        expected = 0 if left <= 0 else None if not rate else left / 0.005 / rate
        assert burn.runs_out_minutes == (expected if not expected else pytest.approx(expected))
    for alert in result.alerts:
        rates = []
        for of in (alert.long_minutes, alert.short_minutes):
            seen = verdicts(of)
            rates.append(seen.count(False) / (len(seen) - seen.count(None)) / 0.005)
        assert alert.firing == all(rate > alert.threshold for rate in rates)


def test_a_percentile_is_a_target_of_requests(tmp_path: Path) -> None:
    """`p95 < x` by the nearest rank of the sorted list, at limits that are in it and beside it."""
    random = Random(1)
    for n in (1, 2, 19, 20, 21, 100, 137):
        micros = [random.randrange(1, 60) * 1000 for _ in range(n)]
        log = write(tmp_path / "access.log", [(NOON, "/", 200, us) for us in micros])
        policy, expected = "", []
        for p, op, off in product(("50", "95", "99.9"), ("<", "<="), (-1, 0, 1)):
            exact = sorted(micros)[max(1, ceil(Fraction(p) * n / 100)) - 1]
            policy += f'[[objective]]\nname = "{len(expected)}"\nrequire = "p{p} {op} {exact + off}us"\n'
            expected.append(off > 0 or (off == 0 and op == "<="))
        assert [result.met for result in measure(log, policy).results] == expected, n


@pytest.mark.parametrize(
    ("require", "met", "indicator"),
    [
        ("error_rate < 25%", False, 0.75),
        ("error_rate <= 25%", True, 0.75),
        ("availability > 75%", False, 0.75),
        ("availability >= 75%", True, 0.75),
        ("avg < 25ms", False, 25),
        ("avg <= 25ms", True, 25),
        ("max < 40ms", False, 40),
        ("p100 <= 40ms", True, 1),
        ("requests >= 4", True, 4),
        ("requests > 4", False, 4),
        ("rps >= 2", True, 4 / 120),
    ],
)
def test_requirements(tmp_path: Path, require: str, met: bool, indicator: float) -> None:
    requests: list[Request] = [(NOON + timedelta(seconds=25 * i), "/", 200, 10_000 * (i + 1)) for i in range(3)]
    log = write(tmp_path / "access.log", [*requests, (NOON + timedelta(seconds=80), "/", 503, 40_000)])
    result = only(measure(log, f'[[objective]]\nname = "x"\nrequire = "{require}"\n'))
    assert result.indicator == pytest.approx(indicator)
    assert result.met is (met if "rps" not in require else False)


def test_the_table_of_the_workbook(tmp_path: Path) -> None:
    """Site Reliability Workbook, table 5-8, for 30 days; other windows spend the same parts of their budgets."""
    log = write(tmp_path / "access.log", [(NOON, "/", 200, 1)])

    def table(window: str) -> list[tuple[str, int, int, float]]:
        alerts = only(measure(log, f'window = "{window}"\n{AVAILABILITY}')).alerts
        return [(a.severity, a.long_minutes, a.short_minutes, round(a.threshold, 9)) for a in alerts]

    assert table("30d") == [("page", 60, 5, 14.4), ("page", 360, 30, 6), ("ticket", 4320, 360, 1)]
    assert table("28d") == [("page", 60, 5, 13.44), ("page", 360, 30, 5.6), ("ticket", 4320, 360, 1)]
    assert table("90d") == [("page", 60, 5, 43.2), ("page", 360, 30, 18), ("ticket", 4320, 360, 3)]
    assert table("1d") == [("page", 60, 5, 1), ("page", 360, 30, 1)]
    assert table("30m") == []


@pytest.mark.parametrize(
    ("bad_minutes", "ago", "firing"),
    [
        (0, 0, [False, False, False]),
        (1, 0, [True, False, False]),  # 1 of 60 minutes is 16.7 times 0.1 %
        (1, 6, [False, False, False]),  # it was so, and is over: the short window says so
        (10, 5, [False, True, True]),
    ],
)
def test_alerts_start_and_stop_soon(tmp_path: Path, bad_minutes: int, ago: int, firing: list[bool]) -> None:
    requests: list[Request] = []
    for minute in range(3 * 1440):
        bad = ago <= minute < ago + bad_minutes
        requests.append((NOON - timedelta(minutes=minute), "/", 500 if bad else 200, 1))
    result = only(measure(write(tmp_path / "access.log", requests), AVAILABILITY))
    assert [alert.firing for alert in result.alerts] == firing


def test_no_data_is_not_success(tmp_path: Path) -> None:
    policy = tmp_path / "slo.toml"
    policy.write_text(AVAILABILITY)
    done = invoke("slo", "-q", "--policy", str(policy), "-", stdin=b"")
    assert done.returncode == 3
    assert done.stderr.decode() == "logstats: no data: a: there are no requests, the target is >= 99.9%\n"
    log = write(tmp_path / "access.log", [(NOON, "/", 200, None)])
    result = only(measure(log, '[[objective]]\nname = "fast"\ngood = "duration < 1s"\ntarget = 99\n'))
    assert (result.met, result.requests, result.unknown) == (None, 1, 1)
    late = only(measure(log, AVAILABILITY, until="2025-01-18"))
    assert late.met is True and [burn.rate for burn in late.burn] == [None, None, None, 0]
    assert [alert.firing for alert in late.alerts] == [None, None, None]
    assert only(measure(log, AVAILABILITY, until="2025-03-01")).met is None


def test_exit_codes_and_outputs(tmp_path: Path) -> None:
    policy = tmp_path / "slo.toml"
    policy.write_text(AVAILABILITY)
    log = write(tmp_path / "access.log", [(NOON, "/", 500 if i < 1 else 200, 1) for i in range(1000)])
    done = invoke("slo", "--policy", str(policy), str(log), "-q", "-o", "json")
    assert done.returncode == 0 and done.stderr == b""
    found = json.loads(done.stdout)
    assert found["missed"] is False and found["end"] == "2025-01-17T12:01:00Z"
    assert found["objectives"][0]["budget_requests"] == {"total": 1.0, "spent": 1.0, "left": 0.0}
    policy.write_text(AVAILABILITY.replace("99.9", "99.91"))
    done = invoke("slo", "--policy", str(policy), str(log), "-q")
    assert done.returncode == 3
    words = "missed: a: status < 500: 99.9% of 1,000 requests are good, the target is >= 99.91%"
    assert done.stderr.decode() == f"logstats: {words}\n"
    assert invoke("slo", "--policy", str(policy), str(log), "-q", "-o", "csv").returncode == 2
    assert invoke("slo", str(log)).returncode == 2
    out = tmp_path / "slo.md"
    done = invoke("slo", "--policy", str(policy), str(log), "-q", "-o", "markdown", "--out", str(out))
    assert done.returncode == 3 and "| missed |" in out.read_text()


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    policy = tmp_path / "slo.toml"
    name = r"\u001b[31m<b>|x| \u202e"
    policy.write_text(f'[[objective]]\nname = "{name}"\nselect = "/a\\u001b]*"\nrequire = "p95 < 1s"\n')
    log = write(tmp_path / "access.log", [(NOON, "/", 200, 1)])
    for output in ("table", "markdown", "json"):
        done = invoke("slo", "--policy", str(policy), str(log), "-q", "-o", output)
        assert done.returncode == 3
        for shown in (done.stdout, done.stderr):
            assert b"\x1b" not in shown and "\u202e" not in shown.decode()
        if output == "markdown":
            html = github_html(done.stdout.decode())
            assert "<b>" not in html
            assert r"\x1b[31m&lt;b&gt;\x7cx\x7c \u202e" in html


@pytest.mark.parametrize("year", [1, 9999])
def test_years_at_the_ends_of_time(tmp_path: Path, year: int) -> None:
    log = write(tmp_path / "access.log", [(NOON, "/", 200, 1)])
    stamps = (f"01/Jan/{year:04}:00:00:00", f"31/Dec/{year:04}:23:59:59")
    lines = [f'10.0.0.1 - - [{stamp} +0000] "GET / HTTP/1.1" 500 10 "-" "agent" 0.1\n' for stamp in stamps]
    with log.open("a") as file:
        file.writelines(lines)
    result = only(measure(log, AVAILABILITY))
    assert (result.requests, result.outside) == (1, 2)
    assert result.met is (year == 1), "the windows end with the last request"


def test_older_lines_take_no_room(tmp_path: Path) -> None:
    """Years of minutes before the window are counted as one."""
    requests: list[Request] = [(NOON - timedelta(minutes=7 * i), "/", 200, 1) for i in range(20_000)]
    result = only(measure(write(tmp_path / "access.log", requests), f'window = "1d"\n{AVAILABILITY}'))
    assert (result.requests, result.outside) == (206, 20_000 - 206)


BROKEN = {
    "": "objective: there must be at least one",
    "objective = 5": "objective: there must be at least one",
    "window = '30'\n" + AVAILABILITY: 'window: must be a text such as "30d"',
    "window = 30\n" + AVAILABILITY: 'window: must be a text such as "30d"',
    "window = '999d'\n" + AVAILABILITY: "window: 999d is longer than 400d",
    "windows = '30d'\n" + AVAILABILITY: "windows: no such key",
    "[[objective]]\n": "objective 1: name: must be there",
    AVAILABILITY + AVAILABILITY: "objective 2: name: another one is called 'a'",
    "[[objective]]\nname = 'a'\n": "objective 1 (a): needs `good` and `target`, or `require`",
    AVAILABILITY + "require = 'p95 < 1s'": "objective 1 (a): needs `good` and `target`, or `require`",
    AVAILABILITY + "tarjet = 5": "objective 1 (a): tarjet: no such key",
    AVAILABILITY.replace("99.9", "0.999"): "objective 1 (a): target: 0.999 is not above 1",
    AVAILABILITY.replace("99.9", "100.1"): "objective 1 (a): target: 100.1 is not above 1",
    AVAILABILITY.replace("99.9", "nan"): "objective 1 (a): target: must be there, and a number",
    AVAILABILITY.replace("99.9", "'99.9'"): "objective 1 (a): target: must be there, and a number",
    AVAILABILITY.replace("99.9", "true"): "objective 1 (a): target: must be there, and a number",
    "[[objective]]\nname='a'\ngood='status < 500'": "objective 1 (a): target: must be there, and a number",
    AVAILABILITY.replace("< 500", "<< 500"): "objective 1 (a): good: expected one of",
    AVAILABILITY.replace("< 500", "<"): "objective 1 (a): good: expected a status\n  status <\n          ^",
    AVAILABILITY + "select = 'bugs'": "objective 1 (a): select: a path begins with /\n  bugs\n  ^",
    AVAILABILITY + "select = 5": "objective 1 (a): select: must be a text",
    "[[objective]]\nname='a'\nrequire='p95 > 1s'": "objective 1 (a): require: says what must hold",
    "[[objective]]\nname='a'\nrequire='availability < 9%'": "objective 1 (a): require: says what must hold",
    "[[objective]]\nname='a'\nrequire='users > 5'": "objective 1 (a): require: users is no service level",
    "[[objective]]\nname='a'\nrequire='p95 < 1s for 5m'": "objective 1 (a): require: `for` is for alerts",
    "[[objective]]\nname='a'\nrequire='p95 < 1'": "objective 1 (a): require: expected a unit",
    "[[objective]]\nname='a'\nselect='/a'\nrequire='/b: p95 < 1s'": "require: the selector is there twice",
    "[[objective]]\nname='a'\ntarget=5\nrequire='p95 < 1s'": "objective 1 (a): target: `require` has its own",
    "x = [": "not TOML",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_policy_says_which_key_and_why(text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse(text, "slo.toml")
    assert caught.value.what.startswith("slo.toml: ")
    assert BROKEN[text] in caught.value.what


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    done = invoke("slo", "--policy", str(tmp_path / "none.toml"), "-")
    assert done.returncode == 2 and b"no such file" in done.stderr
