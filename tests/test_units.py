"""Units of durations: which evidence settles them, in which order, and what is said where none does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from program import invoke

import logstats
from logstats.errors import UsageError
from logstats.formats import registry
from logstats.formats.wrappers.stack import parse

BASE = {"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "/a", "status": 200}


def source(tmp_path: Path, *lines: dict[str, Any], logfmt: bool = False) -> Path:
    path = tmp_path / "a.log"
    texts = [" ".join(f"{k}={v}" for k, v in line.items()) if logfmt else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def durations(path: Path, **options: Any) -> list[float | None]:
    return [value for frame in logstats.read(path, **options) for value in frame["duration_ms"].to_list()]


@pytest.mark.parametrize("logfmt", [False, True])
@pytest.mark.parametrize("key", ["duration", "latency", "elapsed", "took"])
@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "s"), (1, "ms"), (1e6, "ns")])
def test_what_requests_take_tells_the_unit(tmp_path: Path, key: str, logfmt: bool, factor: float, unit: str) -> None:
    """The same of JSON and of logfmt: requests of 1 to 900 ms, in whatever unit."""
    draw = random.Random(f"{key}{unit}")
    true = [round(draw.lognormvariate(3.5, 1.2), 3) + 1 for _ in range(100)]
    written = [round(ms * factor, 6) if factor < 1 else round(ms * factor) for ms in true]
    path = source(tmp_path, *({**BASE, key: value} for value in written), logfmt=logfmt)
    report = logstats.report(path)
    assert durations(path) == pytest.approx([value / factor for value in written])
    settled = "" if unit == "ms" else f"{{duration={unit}}}"
    assert report.sources[0].format == ("logfmt" if logfmt else "json") + settled


@pytest.mark.parametrize("logfmt", [False, True])
def test_the_value_and_the_key_come_first(tmp_path: Path, logfmt: bool) -> None:
    values = [("latency", "1.5ms"), ("duration", "250us"), ("latency_ms", 7), ("duration_s", 2), ("latency_ns", 5e6)]
    path = source(tmp_path, *({**BASE, key: value} for key, value in values), logfmt=logfmt)
    assert durations(path) == [1.5, 0.25, 7.0, 2000.0, 5.0]


def test_another_duration_of_the_line_tells(tmp_path: Path) -> None:
    """Even where what requests take would say otherwise."""
    path = source(tmp_path, *({**BASE, "elapsed": n * 1000, "latency_ms": n / 1000} for n in range(1, 9)))
    assert durations(path) == [n / 1000 for n in range(1, 9)]
    assert durations(path, unit=["elapsed=ns"]) == [n / 1000 for n in range(1, 9)]


def test_products_are_known(tmp_path: Path) -> None:
    rails = {"method": "GET", "path": "/u/1", "controller": "U", "action": "show", "status": 200, "duration": 0.75}
    assert durations(source(tmp_path, rails)) == [0.75]
    assert durations(source(tmp_path, rails, logfmt=True)) == [0.75]
    echo = {**BASE, "latency": 61_000_000_000, "latency_human": "1m1s"}
    assert durations(source(tmp_path, echo)) == [61_000.0]


def test_nginx_logs_seconds_however_slow_it_is(tmp_path: Path) -> None:
    path = source(tmp_path, *({**BASE, "request_time": f"{n}.345"} for n in (12, 30, 45)))
    assert durations(path) == [12_345.0, 30_345.0, 45_345.0]
    assert logstats.report(path).notes == []


def test_what_stays_open_is_said_and_settled_by_the_user(tmp_path: Path) -> None:
    path = source(tmp_path, *({**BASE, "duration": value} for value in (2.5, 3.5, 4.5)))
    said = invoke("report", "-o", "json", str(path))
    hint = "--unit duration=ms settles it"
    assert hint in said.stderr.decode()
    assert any(hint in note for note in json.loads(said.stdout)["notes"])
    assert durations(path) == [2.5, 3.5, 4.5]
    for unit, factor in (("s", 1000), ("us", 1e-3)):
        report = logstats.report(path, unit=[f"duration={unit}"])
        assert report.notes == []
        assert durations(path, unit=[f"duration={unit}"]) == pytest.approx([v * factor for v in (2.5, 3.5, 4.5)])


@pytest.mark.parametrize(
    ("values", "read", "others"),
    [
        ((0.012, 12), [12.0, 12_000.0], "ms"),  # a slow service, or a fast one that counts microseconds as 0.012
        ((12, 33, 150), [12.0, 33.0, 150.0], "s or us"),
        ((12_000, 33_000, 150_000), [12.0, 33.0, 150.0], "ms or ns"),
    ],
)
@pytest.mark.parametrize("logfmt", [False, True])
def test_what_requests_take_is_likely_and_no_more(
    tmp_path: Path, values: tuple[float, ...], read: list[float], others: str, logfmt: bool
) -> None:
    path = source(tmp_path, *({**BASE, "duration": value} for value in values), logfmt=logfmt)
    assert durations(path) == pytest.approx(read)
    (note,) = logstats.report(path).notes
    assert f"and could be {others}: --unit duration=" in note


def test_an_open_unit_does_not_hide_that_the_format_is_open(tmp_path: Path) -> None:
    """Lines of an application, then a W3C log of the same columns: seconds by its draft, milliseconds by IIS."""
    path = tmp_path / "a.log"
    lines = [f"2025-01-17 10:30:0{n} GET /a 200 {ms}" for n, ms in enumerate((12, 150, 31, 900))]
    path.write_text("\n".join([*lines, "#Fields: date time cs-method cs-uri-stem sc-status time-taken", *lines, ""]))
    of_unit, of_format = sorted(logstats.report(path).notes, key=lambda note: "could also be" in note)
    assert "read as ms, and could be s or us: --unit duration=ms settles it" in of_unit
    assert "--format iis or --format w3c says which" in of_format


@pytest.mark.parametrize(
    ("numbers", "said"), [((12, 33, 150), "read as ms, and could be s or us"), ((12, 33, 150) * 5, "")]
)
def test_a_few_numbers_behind_a_line_rule_no_unit_out(tmp_path: Path, numbers: tuple[int, ...], said: str) -> None:
    path = tmp_path / "a.log"
    line = '192.0.2.7 - - [17/Jan/2025:10:30:{:02d} +0000] "GET /a HTTP/1.1" 200 5 "-" "UA" {}\n'
    path.write_text("".join(line.format(second, number) for second, number in enumerate(numbers)))
    assert durations(path) == [float(number) for number in numbers]
    notes = logstats.report(path).notes
    assert len(notes) == bool(said)
    assert said in "".join(notes)


def test_a_unit_that_is_about_nothing_is_said(tmp_path: Path) -> None:
    path = source(tmp_path, {**BASE, "latency_ms": 5})
    assert durations(path, unit=["duration=s"]) == [5.0]  # its key says it
    assert durations(path, unit=["latency_ms=s"]) == [5000.0]  # unless it is meant
    (note,) = logstats.report(path, unit=["speed=s"]).notes
    assert "no duration is called so" in note
    for wrong in ("duration", "duration=h", "=ms"):
        with pytest.raises(UsageError, match="--unit"):
            logstats.report(path, unit=[wrong])


def test_a_positional_duration_takes_the_unit_too(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text('192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "UA" 1500\n' * 5)
    assert durations(path, format="combined_us") == [1.5] * 5
    assert durations(path, format="combined_us", unit=["duration=ms"]) == [1500.0] * 5


def test_the_name_of_a_format_says_its_units() -> None:
    (stack,) = parse("docker_json/json{duration=ns}", registry.builtin())
    assert (stack.name, stack.format.fields["duration"].unit) == ("docker_json/json{duration=ns}", "ns")
    (stack,) = parse("combined_time{duration=.}", registry.builtin())
    assert (stack.name, stack.spelling) == ("combined_time", "combined_time{duration=.}")
    for wrong in ("json{duration=h}", "json{path=ms}", "json{x=ms}"):
        with pytest.raises(logstats.FormatError):
            parse(wrong, registry.builtin())


@pytest.mark.parametrize("size", [4096, 1 << 20])
@pytest.mark.parametrize("logfmt", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "s"), (1, "ms"), (1e3, "us")])
def test_zeros_tell_no_unit(
    tmp_path: Path, chunks_of: Callable[[int], None], size: int, logfmt: bool, named: bool, factor: float, unit: str
) -> None:
    """It is told by the first lines that have another number, wherever they stand, and whoever named the format."""
    true = [0.0] * 250 + [30.0 + number for number in range(50)]
    path = source(tmp_path, *({**BASE, "duration": f"{ms * factor:g}"} for ms in true), logfmt=logfmt)
    chunks_of(size)
    name = "logfmt" if logfmt else "json"
    how = {"format": name} if named else {}
    assert durations(path, **how) == pytest.approx(true)
    found = logstats.report(path, **how).sources[0].format
    assert found == (name if unit == "ms" else f"{name}|{name}{{duration={unit}}}")


LINE = '192.0.2.{} - - [17/Jan/2025:10:30:{:02d} +0000] "GET /a HTTP/1.1" 200 {} "-" "UA" {}\n'


@pytest.mark.parametrize("size", [4096, 1 << 20])
@pytest.mark.parametrize("order", ["seconds first", "microseconds first", "in turn"])
def test_a_source_may_change_its_unit(tmp_path: Path, chunks_of: Callable[[int], None], size: int, order: str) -> None:
    """The seconds of nginx have three decimal places, Apache's %D has none: 1200 behind 0.012 is no twenty minutes."""
    draw = random.Random(order)
    true = [round(draw.lognormvariate(3.5, 1.2), 3) + 2 for _ in range(400)]
    fraction = {"seconds first": lambda n: n < 200, "microseconds first": lambda n: n >= 200}.get(
        order, lambda n: n % 2
    )
    written = [f"{ms / 1000:.3f}" if fraction(n) else str(round(ms * 1000)) for n, ms in enumerate(true)]
    path = tmp_path / "a.log"
    sizes = [draw.randrange(200, 90_000) for _ in true]
    path.write_text("".join(LINE.format(n % 200, n % 60, sizes[n], text) for n, text in enumerate(written)))
    chunks_of(size)
    expected = [float(text) * 1000 if "." in text else int(text) / 1000 for text in written]
    assert durations(path) == pytest.approx(expected)
    assert sorted(logstats.report(path).sources[0].formats) == ["combined_time", "combined_us"]


def test_seconds_of_any_precision_may_be_whole(tmp_path: Path) -> None:
    """As a program writes them that leaves out zeros."""
    path = tmp_path / "a.log"
    written = ["0.1", "0.25", "1", "0.125", "2", "0.5"] * 3
    path.write_text("".join(LINE.format(n, n, 100 + n * n, text) for n, text in enumerate(written)))
    assert durations(path, format="combined_time") == [float(text) * 1000 for text in written]
    assert durations(path) == [float(text) * 1000 for text in written]
