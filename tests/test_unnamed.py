"""A number behind a known format that nobody named is a duration only if it behaves like one.

Ports, sizes, counters, constants and the like are kept out, which is said; the rest of the line is read.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from program import invoke

import logstats
from logstats import api
from logstats.archive.create import init

LINES = 120
BEFORE = {
    "common": "{client} - - [17/Jan/2025:10:30:{second:02d} +0000] {request} {status} {bytes}",
    "combined": '{client} - - [17/Jan/2025:10:30:{second:02d} +0000] {request} {status} {bytes} "-" "{agent}"',
    "vhost_common": "a.example {client} - - [17/Jan/2025:10:30:{second:02d} +0000] {request} {status} {bytes}",
    "vhost_combined": (
        'a.example:80 {client} - - [17/Jan/2025:10:30:{second:02d} +0000] {request} {status} {bytes} "-" "{agent}"'
    ),
    "nginx_main": (
        '{client} - - [17/Jan/2025:10:30:{second:02d} +0000] {request} {status} {bytes} "-" "{agent}" "203.0.113.5"'
    ),
}


class Site:
    """Requests as a site gets them, and what could stand behind each in its log."""

    def __init__(self, seed: str) -> None:
        draw = random.Random(seed)
        self.draw = draw
        self.requests = [f"/{'x' * draw.randrange(60)}?n={n}" for n in range(LINES)]
        self.bytes = [draw.randrange(200, 90_000) for _ in range(LINES)]
        self.statuses = [draw.choice([200, 200, 200, 304, 404, 500]) for _ in range(LINES)]
        self.agents = [draw.choice(["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)"]) for _ in range(LINES)]
        self.clients = [f"192.0.2.{draw.randrange(1, 9)}" for _ in range(LINES)]

    def log(self, path: Path, format: str, numbers: Sequence[object]) -> Path:
        lines = [
            BEFORE[format].format(
                client=self.clients[n],
                second=n % 60,
                request=f'"GET {self.requests[n]} HTTP/1.1"',
                status=self.statuses[n],
                bytes=self.bytes[n],
                agent=self.agents[n],
            )
            + f" {number}"
            for n, number in enumerate(numbers)
        ]
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def sent(self) -> list[int]:
        return [size + self.draw.randrange(180, 420) for size in self.bytes]

    def received(self) -> list[int]:
        shown = [len(r) + len(a) for r, a in zip(self.requests, self.agents, strict=True)]
        return [length + 90 + self.draw.choice([0, 0, 0, 12]) for length in shown]

    def connections(self) -> list[int]:
        """As nginx counts them: logged when a request ends, so not quite in order."""
        number, found = 4711, []
        for _ in range(LINES):
            number += self.draw.randrange(3)
            found.append(number - self.draw.choice([0, 0, 0, 0, 3]))
        return found

    def of_connection(self) -> list[int]:
        """Requests of the connection so far, of which each client has one."""
        return [self.clients[: n + 1].count(client) for n, client in enumerate(self.clients)]

    def times(self, middle: float) -> list[float]:
        return [middle * self.draw.lognormvariate(0, 1.1) for _ in range(LINES)]


KEPT_OUT: dict[str, tuple[Callable[[Site], Sequence[object]], str]] = {
    "one port": (lambda _: [443] * LINES, "ports"),
    "two ports": (lambda site: [site.draw.choice([80, 443]) for _ in range(LINES)], "ports"),
    "odd ports": (lambda site: [site.draw.choice([80, 8080, 9090]) for _ in range(LINES)], "ports"),
    "ports of Linux's clients": (lambda site: [site.draw.randrange(32768, 61000) for _ in range(LINES)], "ports"),
    "ports of IANA's range": (lambda site: [site.draw.randrange(49152, 65536) for _ in range(LINES)], "ports"),
    "ports behind a NAT": (lambda site: [site.draw.randrange(1024, 65536) for _ in range(LINES)], "ports"),
    "constant": (lambda _: [17] * LINES, "a constant"),
    "constant zero": (lambda _: [0] * LINES, "a constant"),
    "constant version": (lambda _: ["1.1"] * LINES, "a constant"),
    "counter": (lambda _: range(1, LINES + 1), "a counter"),
    "connections": (lambda site: site.connections(), "a counter"),
    "requests of a connection": (lambda site: site.of_connection(), "a counter"),
    "bytes sent": (lambda site: site.sent(), "sizes of responses"),
    "bytes again": (lambda site: site.bytes, "sizes of responses"),
    "request length": (lambda site: site.received(), "sizes of requests"),
    "upstream status": (lambda site: site.statuses, "status codes"),
    "workers": (lambda site: [site.draw.choice([30211, 30212, 30215]) for _ in range(LINES)], "numbers of processes"),
    "gzip ratio": (lambda site: [f"{site.draw.uniform(1.2, 6):.2f}" for _ in range(LINES)], "ratios"),
    "epoch": (lambda site: [f"{1737109800 + n + site.draw.random():.3f}" for n in range(LINES)], "points in time"),
    "identifiers": (lambda site: [site.draw.randrange(10**11, 10**12) for _ in range(LINES)], "numbers of something"),
    "padded": (lambda site: [f"{site.draw.randrange(10**6):08d}" for _ in range(LINES)], "leading zeros"),
}


@pytest.mark.parametrize(
    ("what", "format"),
    [
        *((what, "combined") for what in KEPT_OUT),
        *((what, format) for what in ("two ports", "bytes sent", "connections") for format in BEFORE),
    ],
)
def test_what_is_no_duration_is_kept_out_and_that_is_said(tmp_path: Path, what: str, format: str) -> None:
    site = Site(what + format)
    make, like = KEPT_OUT[what]
    path = site.log(tmp_path / "a.log", format, make(site))
    report = logstats.report(path)
    assert (report.requests, report.rejected, report.latency) == (LINES, 0, None)
    assert report.to_dict()["status"] == {
        str(status): site.statuses.count(status) for status in sorted({*site.statuses})
    }
    assert any(like in note and "kept out" in note for note in report.notes), report.notes


@pytest.mark.parametrize("format", BEFORE)
@pytest.mark.parametrize(("middle", "unit", "digits"), [(0.04, "s", 3), (0.04, "s", 6), (20_000.0, "us", 0)])
def test_what_behaves_like_a_duration_is_one(
    tmp_path: Path, format: str, middle: float, unit: str, digits: int
) -> None:
    if format == "nginx_main" and not digits:
        pytest.skip("behind X-Forwarded-For only nginx's seconds are known")
    site = Site(f"{format}{middle}")
    written = [f"{max(value, 0.001):.{digits}f}" for value in site.times(middle)]
    path = site.log(tmp_path / "a.log", format, written)
    found = [value for rows in logstats.read(path) for value in rows["duration_ms"].to_list()]
    factor = {"s": 1000, "us": 0.001}[unit]
    assert found == pytest.approx([float(text) * factor for text in written])


def test_seconds_that_mostly_are_none(tmp_path: Path) -> None:
    """Apache's %T."""
    site = Site("%T")
    seconds = [site.draw.choice([0] * 9 + [1]) for _ in range(LINES)]
    path = site.log(tmp_path / "a.log", "common", seconds)
    assert [v for rows in logstats.read(path) for v in rows["duration_ms"].to_list()] == [n * 1000.0 for n in seconds]


def test_who_names_the_format_says_what_its_columns_are(tmp_path: Path) -> None:
    path = Site("named").log(tmp_path / "a.log", "combined", [443] * LINES)
    report = logstats.report(path, format="combined_ms")
    assert (report.latency.max, report.notes) == (443.0, [])  # type: ignore[union-attr]


def test_it_is_said_on_stderr_in_the_report_and_where_it_begins_further_on(tmp_path: Path) -> None:
    site = Site("said")
    ports = site.log(tmp_path / "ports.log", "combined", [443, 80] * (LINES // 2))
    said = invoke("report", "-o", "json", str(ports))
    words = "the numbers behind combined (443, 80, …) look like ports, not like durations: they are kept out"
    assert words in said.stderr.decode()
    assert any(words in note for note in json.loads(said.stdout)["notes"])
    assert words.removeprefix("the ") in invoke("formats", "detect", str(ports)).stdout.decode()
    mixed = tmp_path / "mixed.log"
    plain = [line.rsplit(" ", 1)[0] for line in ports.read_text().splitlines()] * 2
    mixed.write_text("\n".join(plain) + "\n" + ports.read_text())
    report = logstats.report(mixed)
    assert (report.requests, report.rejected, report.latency) == (3 * LINES, 0, None)
    assert report.to_dict()["sources"][0]["formats"] == ["combined", "combined+"]
    assert any("look like ports" in note for note in report.notes)


def test_columns_without_a_name_are_said(tmp_path: Path) -> None:
    path = Site("tls").log(tmp_path / "a.log", "combined", ['"gzip" TLSv1.3'] * LINES)
    report = logstats.report(path)
    assert (report.requests, report.rejected) == (LINES, 0)
    assert any('behind combined ("gzip" TLSv1.3, …) has no name' in note for note in report.notes)


@pytest.mark.parametrize(
    ("behind", "wanted", "upstream"),
    [
        ("{n}ms", 1.0, None),
        ("0.{n:03d}s", 1.0, None),
        ('"{n} ms"', 1.0, None),
        ("[{n}us]", 0.001, None),
        ('gzip="-" rt=0.{n:03d} cs=HIT', 1.0, None),
        ("request_time:0.{n:03d} upstream_response_time:0.007 to:10.0.0.1:80", 1.0, 7.0),
        ('| rt="0.{n:03d}" urt="0.007, 0.005"', 1.0, 12.0),
        ("D={n}000 {n}ms", None, None),  # which of them it is, nobody says
        ("cs=HIT latency={n}ms", 1.0, None),
        ("latency=12.{n:03d}", None, None),  # of which unit, nobody says
        ("uct=0.{n:03d}", None, None),  # neither the request's time nor the upstream's
    ],
)
def test_a_duration_without_a_column_of_its_own_may_say_what_it_is(
    tmp_path: Path, behind: str, wanted: float | None, upstream: float | None
) -> None:
    """By its unit, if nothing else is there, or by a label; it is said that the rest is kept out."""
    path = Site("said").log(tmp_path / "a.log", "combined", [behind.format(n=100 + n) for n in range(LINES)])
    report = logstats.report(path)
    assert (report.requests, report.rejected) == (LINES, 0)
    [note] = [note for note in report.notes if "behind combined" in note]
    assert ("but for durations that say what they are" in note) == (wanted is not None)
    for rows in logstats.read(path):
        times = [wanted and pytest.approx((100 + n) * wanted) for n in range(LINES)]
        assert rows["duration_ms"].to_list() == times
        assert rows["upstream_ms"].to_list() == [upstream] * LINES


def test_a_few_numbers_in_equal_steps_are_a_counter(tmp_path: Path) -> None:
    path = Site("few").log(tmp_path / "a.log", "combined", range(7, 12))
    report = logstats.report(path)
    assert report.latency is None and any("look like a counter" in note for note in report.notes)


@pytest.mark.parametrize(
    ("numbers", "what"),
    [([51_234, 49_822, 60_011, 33_333], "ports"), ([3123, 3124, 3123, 3125], "numbers of processes or the like")],
)
def test_a_few_numbers_that_are_no_durations(tmp_path: Path, numbers: list[int], what: str) -> None:
    path = Site("few").log(tmp_path / "a.log", "combined", numbers)
    lines = path.read_text().splitlines()[:4]
    path.write_text("\n".join(lines))
    assert f"look like {what}" in logstats.report(path).notes[0]
    assert logstats.report(path).latency is None


def test_an_archive_goes_on_as_it_began(tmp_path: Path) -> None:
    """What a source's first lines said holds for those that are added later, few as they may be."""
    site = Site("archive")
    path = site.log(tmp_path / "a.log", "combined", [443, 80] * (LINES // 2))
    root = init(tmp_path / "archive").root
    api.add([path], root)
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[0].rsplit(" ", 1)[0] + " 512\n")
    api.add([path], root)
    report = logstats.report(archive=root)
    assert (report.requests, report.latency) == (LINES + 1, None)


@pytest.mark.parametrize(("mount", "format"), [("/radio.mp3", "icecast"), ("/live", "combined_time")])
def test_what_is_sent_at_one_rate_was_listened_to_for_seconds(tmp_path: Path, mount: str, format: str) -> None:
    """Icecast: whoever listens to a mount, and for however long, gets as many bytes in a second."""
    site = Site(mount)
    seconds = [site.draw.randrange(1, 9000) for _ in range(LINES)]
    site.requests = [mount] * LINES
    site.bytes = [16_000 * one + site.draw.randrange(60_000) for one in seconds]
    path = site.log(tmp_path / "a.log", "combined", seconds)
    report = logstats.report(path)
    assert report.sources[0].format == format
    assert report.latency.max == 1000.0 * max(seconds)  # type: ignore[union-attr]


def test_a_file_that_is_served_again_and_again_is_no_stream(tmp_path: Path) -> None:
    site = Site("file")
    site.requests, site.bytes = ["/song.mp3"] * LINES, [4_096_000] * LINES
    micros = [round(value) for value in site.times(300_000)]
    path = site.log(tmp_path / "a.log", "combined", micros)
    assert logstats.report(path).latency.max == pytest.approx(max(micros) / 1000)  # type: ignore[union-attr]
