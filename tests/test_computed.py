"""Columns that are computed where they are asked for: against Python's own libraries, and over an archive alike."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus, urlencode
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats import UsageError, schema
from logstats.enrich.computed import Columns

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LINES = [
    '192.0.2.7 - ann [17/Jan/2025:10:30:00 +0000] "GET /search?q=cats&page=2 HTTP/1.1" 200 5 "-" "curl/8"',
    '192.0.2.8 - bob [18/Jan/2025:23:30:00 +0000] "GET /search?page=3&q=d+g HTTP/2.0" 404 7 "-" "curl/8"',
    '2001:db8::1 - - [18/Jan/2025:23:31:00 +0000] "GET /a HTTP/1.1" 500 5 "-" "curl/8"',
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def column(name: str, values: dict[str, pl.Series], zone: str = "UTC") -> list[object]:
    return Columns(zone).add(pl.DataFrame(values), [name])[name].to_list()


@settings(max_examples=25)
@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))), st.integers(1, 32))
def test_networks_are_those_of_ipaddress(addresses: list[IPv4Address | IPv6Address], bits: int) -> None:
    expected = []
    for address in addresses:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        plain = mapped or address
        expected.append(str(ip_network((plain, bits if plain.version == 4 else 2 * bits), strict=False)))
    texts = pl.Series([*map(str, addresses), "host.example", "256.1.1.1", None], dtype=pl.String)
    assert column(f"ip/{bits}", {"client_ip": texts}) == [*expected, "host.example", "256.1.1.1", None]


def test_ipv6_may_have_a_length_of_its_own() -> None:
    assert column("ip/8/20", {"client_ip": pl.Series(["192.0.2.1", "2001:db8::1"])}) == ["192.0.0.0/8", "2001::/20"]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["q", "page", "p", "a b", "q.x"]), WORDS), max_size=4))
def test_a_parameter_is_that_of_urllib(pairs: list[tuple[str, str]]) -> None:
    query = urlencode(pairs, quote_via=quote_plus)
    read = parse_qsl(query, keep_blank_values=True)
    for name in ("q", "page", "a b", "q.x"):
        first = next((value for key, value in read if key == name), None)
        assert column(f"query:{name}", {"query": pl.Series([query, None], dtype=pl.String)}) == [first, None]


def test_a_parameter_without_a_value_and_with_bytes_that_are_no_text() -> None:
    queries = pl.Series(["page", "x&page&page=2", "pages=1", "page=%zz%ff", "page="])
    assert column("query:page", {"query": queries}) == ["", "", None, r"%zz\xff", ""]


@settings(max_examples=25)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["UTC", "Asia/Kolkata", "US/Pacific"]))
def test_hours_and_days_are_those_on_the_clock(time: datetime, zone: str) -> None:
    local = time.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    times = {"timestamp": pl.Series([time.replace(tzinfo=UTC), None], dtype=pl.Datetime("us", "UTC"))}
    assert column("hour", times, zone) == [local.hour, None]
    assert column("weekday", times, zone) == [f"{local:%a}", None]


PASSING = [
    ("hour = 0", [2, 3]),
    ("weekday = sun and status < 500", [2]),
    ("query:page = 3 or query:q is null", [2, 3]),
    ("ip/24 = 192.0.2.0/24", [1, 2]),
    ("source = web", [1, 2, 3]),
    ("hour >= 11 and hour < 12", [1]),
]


@pytest.mark.parametrize(("where", "lines"), PASSING)
def test_where_takes_them(log: Path, where: str, lines: list[int]) -> None:
    found = logstats.read(tz="Europe/Berlin", where=where, label=[f"web={log}"], sources=[], columns=["hour"])
    assert [(*row,) for frame in found for row in frame.select("source", "line").iter_rows()] == [
        ("web", line) for line in lines
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    log, place = folder / "access.log", folder / "kept"
    log.write_text("".join(f"{line}\n" for line in LINES))
    assert invoke("archive", "init", str(place)).returncode == 0
    assert invoke("archive", "add", "-q", "--archive", str(place), "--label", f"web={log}", str(log)).returncode == 0
    return place


@pytest.mark.parametrize(("where", "lines"), PASSING)
def test_over_an_archive_they_are_the_same(archive: Path, where: str, lines: list[int]) -> None:
    found = logstats.search(None, archive=archive, where=where, tz="Europe/Berlin")
    assert [line for frame in found for line in frame["line"]] == lines
    assert logstats.report(archive=archive, where=where, tz="Europe/Berlin").requests == len(lines)


def test_names_that_are_no_columns(log: Path) -> None:
    for name in ("ip/0", "ip/33", "ip/24/129", "colour"):
        with pytest.raises(UsageError):
            Columns().reads([name])
    assert not schema.is_column("query:")
    with pytest.raises(UsageError, match="no name and its file"):
        logstats.report(log, label=["web1"])


def test_what_is_masked_stays_masked(log: Path) -> None:
    """A computed column is computed of what `--anonymize` leaves."""
    text = log.read_text().replace("q=cats", "token=cats")
    log.write_text(text)
    ran = invoke("limits", "--limit", "1/1s", "--by", "query:token", "--anonymize", "ip", "-o", "json", str(log))
    assert b"cats" not in ran.stdout
    assert b"***" in ran.stdout
    found = logstats.read(log, anonymize="ip", columns=["query:token", "ip/32"], where="query:token = cats")
    (frame,) = list(found)
    assert frame.row(0)[:2] == ("***", "192.0.2.0/32")


def test_a_label_is_of_folders_and_globs_and_reads_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.log").write_text(LINES[0] + "\n")
    labels = [f"one={tmp_path / 'a'}", f"two={tmp_path}/b/*.log"]
    for sources in ([], [tmp_path / "a"], [tmp_path / "a" / "x.log", tmp_path / "b" / "x.log"]):
        frames = list(logstats.read(sources, label=labels, columns=["status"]))
        assert [frame["source"].to_list() for frame in frames] == [["one"], ["two"]]
