"""`--anonymize`: nothing that identifies a person in any output or in an archive; figures as right as can be."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from program import invoke

import logstats
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.query import rows
from logstats.enrich.privacy import METHODS, Anonymizer
from logstats.errors import UsageError

KEY = b"a key of this test, long enough"
BEGIN = datetime(2025, 1, 17, 10, tzinfo=UTC)
SAMPLE = ROOT / "sample_logs" / "combined.log"
PERSONAL = (
    "203.0.113.77", "2001:db8:1:2:3::77", "alice", "alice@example.com", "s3cr3t-token", "hunter2", "198.51.100.200",
)  # fmt: skip
LINES = (
    '203.0.113.77 - alice [17/Jan/2025:10:00:00 +0000] "GET /u/alice@example.com?token=s3cr3t-token&page=2 HTTP/1.1" '
    '200 5 "https://example.com/?password=hunter2&q=x" "curl/8.5.0"\n'
    '2001:db8:1:2:3::77 - - [17/Jan/2025:10:00:01 +0000] "GET /r?ip=198.51.100.200 HTTP/1.1" 200 5 "-" "curl/8.5.0"\n'
    '203.0.113.77 - alice [18/Jan/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5.0"\n'
    "alice at 203.0.113.77 sent hunter2: no request\n"
)


@pytest.fixture
def log(tmp_path: Path) -> str:
    (tmp_path / "a.log").write_text(LINES)
    return str(tmp_path / "a.log")


@pytest.mark.parametrize("command", [("sessions",), ("scan",), ("limits", "--limit", "1/1d", "--by", "client_ip")])
def test_figures_about_clients_say_that_these_are_anonymized(command: tuple[str, ...], log: str) -> None:
    ran = invoke(*command, log, "--anonymize", "ip", "-o", "json", "-q")
    notes = json.loads(ran.stdout)["notes"]
    assert len([note for note in notes if note.startswith("anonymized: addresses are those of networks")]) == 1


def test_no_story_under_the_logged_address_is_said_to_be_due_to_anonymizing(log: str) -> None:
    of = ("sessions", log, "--user-key", "client_ip", "--anonymize", "ip", "-o", "json", "-q", "--of")
    logged, masked = (json.loads(invoke(*of, address).stdout) for address in ("203.0.113.77", "203.0.113.0"))
    assert (logged["requests"], masked["requests"]) == (0, 2)
    assert "by what --anonymize makes of it" in logged["notes"][-1]
    assert not [note for note in masked["notes"] if "looked for" in note]


@pytest.fixture
def key(tmp_path: Path) -> str:
    (tmp_path / "key").write_bytes(KEY)
    return str(tmp_path / "key")


def addresses(texts: list[str], method: str, key: bytes = KEY) -> list[str]:
    frame = pl.DataFrame({"client_ip": texts})
    return Anonymizer(method, key).rows(frame)["client_ip"].to_list()


def test_networks_are_kept() -> None:
    given = ["192.0.2.77", "192.0.2.78", "2001:db8:1:2::9", "::1", "web-1"]
    *found, host = addresses(given, "ip")
    assert found == ["192.0.2.0", "192.0.2.0", "2001:db8:1::", "::"]
    assert host.startswith("client-")


def shared(one: str, other: str) -> int:
    """How many leading bits two addresses have in common."""
    a, b = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return a.max_prefixlen - (int(a) ^ int(b)).bit_length()


words = st.integers(0, 2**32 - 1)
near = st.builds(lambda one, bits, other: (one, one ^ (other >> bits)), words, st.integers(0, 32), words)
pairs = st.one_of(
    near.map(lambda pair: tuple(str(ipaddress.IPv4Address(number)) for number in pair)),
    st.tuples(st.ip_addresses(v=6).map(str), st.ip_addresses(v=6).map(str)),
)


@settings(max_examples=100)
@given(pairs)
def test_prefixes_are_kept(pair: tuple[str, str]) -> None:
    """As many leading bits in common as before, for every pair: the definition."""
    one, other = addresses(list(pair), "prefix-preserving")
    assert shared(one, other) == shared(*pair)


def test_pseudonyms_are_of_a_day_and_a_key() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [BEGIN, BEGIN + timedelta(hours=5), BEGIN + timedelta(days=1), None],
            "user_id": ["alice"] * 4,
            "client_ip": ["192.0.2.1", "192.0.2.1", "192.0.2.1", None],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )
    found = Anonymizer("hash", KEY).rows(frame)
    for column in ("user_id", "client_ip"):
        first, same_day, next_day, _ = found[column]
        assert first == same_day != next_day
    assert found["client_ip"][3] is None
    assert Anonymizer("hash", KEY).rows(frame).equals(found), "the same in every run"
    assert Anonymizer("hash").rows(frame)["user_id"][0] != found["user_id"][0]


def test_secrets_are_masked() -> None:
    frame = pl.DataFrame(
        {
            "query": ["a=1&access_token=x&b=2", "MyPassword=p;q=1", "id=7", "mine=8", None],
            "message": [
                "mail bob@example.com from 192.0.2.1 and 2001:db8::1",
                "at 10:30:15 all is well",
                "-",
                "",
                None,
            ],
            "extra": ['{"user":"bob","n":1,"api_key":12}', "{}", '{"password":"a\\"b"}', None, None],
        }
    )
    made = Anonymizer("ip", KEY, ("mine",)).rows(frame)
    assert made["query"].to_list() == ["a=1&access_token=***&b=2", "MyPassword=***;q=1", "id=7", "mine=***", None]
    assert made["message"].to_list()[:2] == ["mail *** from *** and ***", "at 10:30:15 all is well"]
    assert made["extra"].to_list()[:3] == ['{"user":"***","n":1,"api_key":"***"}', "{}", '{"password":"***"}']
    for text in made["extra"].drop_nulls():
        json.loads(text)


@pytest.mark.parametrize(
    ("column", "text", "masked"),
    [
        ("path", "/a;jsessionid=s3cr3t", "/a;jsessionid=***"),
        ("path", "/users/YWJj==", "/users/YWJj=="),
        ("path", "/%61%2Db%2fc", "/%61%2Db%2fc"),  # nothing in it is masked, so it stays as it was logged
        ("referer", "https://user.example/?q=1&token=x", "https://user.example/?q=1&token=***"),
        ("query", "next=%2Freset%3Ftoken%3Ds3cr3t&q=1", "next=%2Freset%3Ftoken%3D***&q=1"),
        (
            "query",
            "next=%252Freset%253Fq%253D1%2526token%253Ds3cr3t&q=1",
            "next=%252Freset%253Fq%253D1%2526token%253D***&q=1",
        ),
        ("query", "e%6Dail=alice&q=1", "email=***&q=1"),
        ("query", "q=alice%40ex%61mple.com", "q=***"),
        ("query", "q=alice%2540example.com", "q=***"),
        ("query", "q=2001%3Adb8%3a%3A77", "q=***"),
        ("query", "at=10%3A30%3A15&q=1", "at=10%3A30%3A15&q=1"),
        (
            "user_agent",
            "Chrome/131.0.0.0 (203.0.113.77; +http://203.0.113.77/)",
            "Chrome/131.0.0.0 (***; +http://***/)",
        ),
        ("host", "alice:s3cr3t@shop.example:8080", "***@shop.example:8080"),
        ("app_name", "alice@shop.example", "***@shop.example"),
        ("referer", "https://alice:s3cr3t@shop.example/a", "https://***@shop.example/a"),
        (
            "message",
            "login of user=alice, password: s3cr3t, took: 5 ms",
            "login of user=***, password: ***, took: 5 ms",
        ),
        ("message", "GET /a?q=1&token=s3cr3t failed", "GET /a?q=1&token=*** failed"),
        ("message", "sent Bearer s3cr3t", "sent Bearer ***"),
        ("message", "see https://alice:s3cr3t@shop.example/", "see https://***@shop.example/"),
        ("extra", '{"url": "/q?n=1&token=s3cr3t", "n": 1}', '{"url": "/q?n=1&token=***", "n": 1}'),
        ("extra", r'{"url": "?token=s3\u00e9cr3t&n=1"}', '{"url": "?token=***&n=1"}'),
        ("extra", '{"Cookie": "a=s3cr3t"}', '{"Cookie": "***"}'),
        ("extra", r'{"body": "{\"pwd\": \"s3cr3t\", \"n\": 1}"}', r'{"body": "{\"pwd\": \"***\", \"n\": 1}"}'),
        (
            "extra",
            '{"user": {"id": 7, "of": ["alice", null, true]}, "n": [1, {"ok": 2}]}',
            '{"user": {"id": "***", "of": ["***", null, true]}, "n": [1, {"ok": 2}]}',
        ),
        ("message", 'no JSON: {"user": {"id": alice', "***"),
    ],
)
def test_what_hides_in_an_encoding_is_masked_and_nothing_else(column: str, text: str, masked: str) -> None:
    assert Anonymizer("ip", KEY).rows(pl.DataFrame({column: [text, None]}))[column].to_list() == [masked, None]


@pytest.mark.parametrize("method", METHODS)
def test_no_output_tells(log: str, key: str, tmp_path: Path, method: str) -> None:
    how = ("--anonymize", method, "--anonymize-key", key)
    by = ("--by", "client_ip", "--by", "user_id", "--by", "referer")
    outputs = [
        ("report", log, *how, *by, "-o", output) for output in ("table", "json", "markdown", "html", "openmetrics")
    ]
    outputs += [("parse", log, *how, "-o", output) for output in ("jsonl", "csv")]
    outputs += [("sessions", log, *how), ("scan", log, *how, "-o", "json")]
    outputs += [("parse", log, *how, "--rejects", str(tmp_path / "rejects"), "-o", "csv")]
    for arguments in outputs:
        ran = invoke(*arguments)
        assert ran.returncode == 0, ran.stderr
        for text in PERSONAL:
            assert text.encode() not in ran.stdout + ran.stderr, (arguments[0], text)
    assert b"left out" in (tmp_path / "rejects").read_bytes()


def test_nothing_in_an_archive_tells(log: str, key: str, tmp_path: Path) -> None:
    place = tmp_path / "archive"
    assert invoke("archive", "init", str(place)).returncode == 0
    add = ("archive", "add", log, "--archive", str(place), "--anonymize", "hash")
    assert (ran := invoke(*add)).returncode == 2, ran.stderr
    for _ in range(2):
        assert (ran := invoke(*add, "--anonymize-key", key)).returncode == 0, ran.stderr
    archive = Archive.open(place)
    stored = pl.concat(list(rows.rows(archive)))
    assert stored.height == 3, "each line once, as ever"
    files = [file for file in archive.snapshot().files.values() if file.table == tables.REJECTS]
    rejected = pl.concat([pl.read_parquet(place / file.path, hive_partitioning=False) for file in files])
    everything = stored.write_ndjson() + str(rejected.to_dicts()) + str(logstats.report(archive=place).to_dict())
    for commit in (place / "commits").iterdir():
        everything += commit.read_text()
    for text in PERSONAL:
        assert text not in everything
    assert rejected["raw"].to_list() == [b"(left out: --anonymize)"]


def test_an_archive_that_holds_persons_is_shown_without_them(log: str, key: str, tmp_path: Path) -> None:
    """The same rows, in every output, as of the log itself; filters look at what was logged."""
    place = str(tmp_path / "archive")
    assert invoke("archive", "init", place).returncode == 0
    assert invoke("archive", "add", log, "--archive", place).returncode == 0
    hidden = ("--anonymize", "hash", "--anonymize-key", key, "-q")
    for asked in (
        ("report", "--by", "client_ip", "--by", "ip/24", "--by", "country", *country_of(tmp_path), "-o", "json"),
        ("report", "--where", "client_ip in 203.0.113.0/24", "--by", "user_agent", "-o", "json"),
        ("report", "--split-by", "client_ip", "-o", "json"),
        ("sessions", "-o", "csv"),
        ("limits", "--limit", "1/1s", "--by", "client_ip", "-o", "json"),
        ("search", "-e", "GET", "-o", "text"),
        ("search", "-e", "GET", "-o", "jsonl"),
    ):
        of_log, of_archive = invoke(*asked, log, *hidden), invoke(*asked, "--archive", place, *hidden)
        assert of_archive.returncode == of_log.returncode, of_archive.stderr
        for text in PERSONAL:
            assert text.encode() not in of_archive.stdout + of_archive.stderr, (asked, text)
            assert text.encode() not in of_log.stdout + of_log.stderr, (asked, text)
        if asked[0] == "report" and "--split-by" not in asked:
            one, other = json.loads(of_log.stdout), json.loads(of_archive.stdout)
            assert other["requests"] == one["requests"]
            assert other["breakdowns"] == one["breakdowns"]
            assert other["unique_users"] == one["unique_users"]
        elif asked[0] == "sessions":
            assert of_archive.stdout == of_log.stdout
    whole = json.loads(invoke("report", log, *hidden, "-o", "json").stdout)
    apart = ("report", "--archive", place, "--rows", "--by", "client_ip", "--workers", "2", "-o", "json", *hidden)
    assert json.loads(invoke(*apart).stdout)["unique_users"]["total"] == whole["unique_users"]["total"]
    for refused in (("slo", "--slo", "availability >= 99%"), ("archive", "add", "--follow", "-")):
        assert invoke(*refused, "--archive", place, *hidden).returncode == 2


def country_of(folder: Path) -> tuple[str, ...]:
    """A database of places, in which the addresses of the tests are Germany's."""
    path = folder / "country.mmdb"
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, languages=["en"], int_type="u32")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country_code": "DE"})
    writer.to_db_file(str(path))
    return ("--geo", str(path))


def test_counts_of_a_day_stay_right(tmp_path: Path) -> None:
    plain = logstats.report(SAMPLE, by=["client_ip"], exact_users=True)
    hidden = logstats.report(SAMPLE, by=["client_ip"], exact_users=True, anonymize="hash")
    assert hidden.unique_users.total == plain.unique_users.total
    assert [row.requests for row in hidden.breakdowns["client_ip"]] == [
        row.requests for row in plain.breakdowns["client_ip"]
    ]
    assert any("pseudonym" in note for note in hidden.notes)
    (tmp_path / "b.log").write_bytes(SAMPLE.read_bytes())
    both = [SAMPLE, tmp_path / "b.log"]
    alone = logstats.report(both, exact_users=True, anonymize="hash", workers=2)
    assert alone.unique_users.total == plain.unique_users.total, "all processes of a run have one key"


def test_filters_look_at_what_was_logged(log: str) -> None:
    ran = invoke("parse", log, "--anonymize", "hash", "--where", "client_ip in 203.0.113.0/24")
    assert len(ran.stdout.splitlines()) == 2


def test_what_makes_no_sense_is_refused(log: str, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    for arguments in (
        ("report", log, "--secret", "x"),
        ("report", log, "--anonymize", "rot13"),
        ("report", log, "--anonymize", "ip", "--anonymize-key", str(tmp_path / "short")),
        ("report", log, "--anonymize", "ip", "--anonymize-key", str(tmp_path / "missing")),
        ("search", "x", "-C", "1", log, "--anonymize", "ip"),
    ):
        assert invoke(*arguments).returncode == 2, arguments
    with pytest.raises(UsageError):
        Anonymizer("none")
