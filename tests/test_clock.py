"""Times as people read them: in the zone of --tz, with the offset that holds; machine outputs stay in UTC."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import invoke

from logstats.reports.clock import Clock

BERLIN = Clock("Europe/Berlin")


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        # Europe/Berlin is an hour ahead of UTC in winter and two in summer; clocks change at 01:00 UTC.
        ("2025-01-17T10:30:00", "2025-01-17T12:00:00", "2025-01-17 11:30:00 – 13:00:00 +01:00"),
        ("2025-01-17T22:30:00", "2025-01-17T23:30:00", "2025-01-17 23:30:00 – 2025-01-18 00:30:00 +01:00"),
        ("2025-03-30T00:30:00", "2025-03-30T01:30:00", "2025-03-30 01:30:00 +01:00 – 03:30:00 +02:00"),
        ("2025-10-26T00:30:00", "2025-10-26T01:30:00", "2025-10-26 02:30:00 +02:00 – 02:30:00 +01:00"),
    ],
)
def test_spans_say_the_offset_that_holds(first: str, last: str, shown: str) -> None:
    begin, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last))
    assert BERLIN.span(begin, end) == shown


def test_utc_is_called_so() -> None:
    moment = datetime(2025, 1, 17, 10, 30, tzinfo=UTC)
    assert Clock().zoned(moment) == "2025-01-17 10:30:00 UTC"
    assert Clock().iso(moment) == "2025-01-17T10:30:00Z"
    assert BERLIN.iso(moment) == "2025-01-17T11:30:00+01:00"


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia"]))
def test_a_time_that_is_shown_is_that_time(moment: datetime, zone: str) -> None:
    clock = Clock(zone)
    assert datetime.fromisoformat(clock.iso(moment)) == moment
    assert len(clock.moment(moment)) == len("2025-01-17 10:30:00")


def _log(folder: Path) -> Path:
    log = folder / "access.log"
    log.write_text(
        '192.0.2.1 - - [16/Jan/2025:23:30:00 +0000] "GET / HTTP/1.1" 200 5\n'
        '192.0.2.1 - - [16/Jan/2025:23:31:00 +0000] "GET / HTTP/1.1" 200 5\n',
        encoding="utf-8",
    )
    return log


@pytest.mark.parametrize("output", ["table", "markdown", "html"])
def test_people_see_the_zone(tmp_path: Path, output: str) -> None:
    arguments = ["report", str(_log(tmp_path)), "-q", "-o", output, "--tz", "Asia/Tokyo", "--title", "web <1>"]
    done = invoke(*arguments)
    text = done.stdout.decode()
    assert "2025-01-17 08:30:00 – 08:31:00 +09:00" in text or "2025-01-17T08:30:00+09:00" in text
    assert "<1>" not in text if output != "table" else "web <1>" in text


def test_the_mail_is_about_the_day_on_the_clock(tmp_path: Path) -> None:
    mail = ["--email", "--email-to", "ops@example.com", "--tz", "Asia/Tokyo", "--title", "web-1"]
    done = invoke("report", str(_log(tmp_path)), "-q", *mail)
    assert b"Subject: Access log web-1 2025-01-17: 2 requests" in done.stdout
    nothing = [*mail, "--since", "2025-01-15", "--until", "2025-01-16"]
    done = invoke("report", str(_log(tmp_path)), "-q", *nothing)
    assert b"Subject: NO DATA: Access log web-1 2025-01-15: no requests" in done.stdout


def test_machines_read_utc(tmp_path: Path) -> None:
    arguments = ["report", str(_log(tmp_path)), "-q", "-o", "json", "--tz", "Asia/Tokyo"]
    done = invoke(*arguments)
    assert json.loads(done.stdout)["time"]["first"] == "2025-01-16T23:30:00Z"
