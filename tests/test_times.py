"""Times as servers write them: every form, alone and mixed; and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.formats.fields.times import parse

EAST = timezone(timedelta(hours=5, minutes=30))
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def spelled(time: datetime) -> list[str]:
    """A time in whole seconds as servers write it, the zone said."""
    east = time.astimezone(EAST)
    clf = f"{east.day:02d}/{MONTHS[east.month - 1]}/{east.year:04d}"
    clock = f"{east.hour:02d}:{east.minute:02d}:{east.second:02d}"
    date = f"{east.year:04d}-{east.month:02d}-{east.day:02d}"
    seconds = int(time.timestamp())
    return [
        f"{clf}:{clock} +0530",
        f"{clf}:{clock}.000 +0530",
        f"{clf} {clock} +05:30",
        f"{date}T{clock}+05:30",
        f"{date} {clock}+0530",
        f"{date} {clock} +0530",
        f"{date} {clock},000 +05:30",
        f"{date.replace('-', '/')} {clock} +0530",
        f"{DAYS[east.weekday()]}, {clf.replace('/', ' ')} {clock} +0530",
        f"{time:%Y-%m-%dT%H:%M:%S}Z",
        f"{time:%Y-%m-%d %H:%M:%S} UTC",
        f"{time:%Y-%m-%d %H:%M:%S}.000000",
        f"{time:%Y/%m/%d %H:%M:%S}",
        f"{DAYS[time.weekday()]} {MONTHS[time.month - 1]} {time.day} {time:%H:%M:%S} {time.year:04d}",
        f"{seconds}",
        f"{seconds}.0",
        f"{seconds}000",
        f"{seconds}000000",
        f"{seconds}000000000",
    ]


TIMES = st.datetimes(datetime(2002, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
NONE = [
    "-",
    "",
    "x",
    "12:61:00",
    "2025-13-01 00:00:00",
    '2017-06-26" 18:21:17',
    "79a5 mybucket",
    "\u2212",
    "a:b",
    "99999999",
]


@given(times=st.lists(TIMES, min_size=1, max_size=4), draw=st.randoms(use_true_random=False))
def test_every_form_is_read_alone_and_among_others(times: list[datetime], draw: object) -> None:
    texts = [(text, time) for time in times for text in spelled(time)] + [(text, None) for text in NONE]
    draw.shuffle(texts)  # type: ignore[attr-defined]
    found = parse(pl.Series([text for text, _ in texts], dtype=pl.String))
    assert found.to_list() == [time for _, time in texts]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1737109800.123456", 123456),
        ("1737109800.1234567", 123457),
        ("1737109800123", 123000),
        ("1737109800123.457", 123457),
        ("1737109800123456", 123456),
        ("1737109800123456789", 123456),  # whole nanoseconds are cut off, as they are of a time that is spelled
        ("1737109800999999999", 999999),
        ("2025-01-17T10:30:00.123456789Z", 123456),
        ("2025-01-17 10:30:00,123", 123000),
    ],
)
def test_parts_of_a_second(text: str, micros: int) -> None:
    found = parse(pl.Series([text]))
    assert found.to_list() == [datetime(2025, 1, 17, 10, 30, 0, micros, UTC)]


@given(
    texts=st.lists(
        st.one_of(
            st.from_regex(r"[0-9+−-]{0,5}[-/: T,.]?[A-Za-z0-9]{0,5}[-/: T,.]?[ 0-9:.,+Zz−-]{0,16}", fullmatch=True),
            st.tuples(TIMES, st.integers(0, 18), st.integers(0, 30), st.text(max_size=2)).map(
                lambda made: (text := spelled(made[0])[made[1]])[: made[2]] + made[3] + text[made[2] :]
            ),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_hopeless_is_read_by_no_form(texts: list[str]) -> None:
    """Texts that do not look like any time are not tried; all of them tried gives the same."""
    column = pl.Series(texts, dtype=pl.String)
    found = parse(column)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logstats.formats.fields.times._HOPELESS", r"[^\s\S]")
        assert found.to_list() == parse(column).to_list()


HALF_PAST_TEN = datetime(2025, 1, 17, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 17 Jan 2025 10:30:00 GMT",  # RFC 9110, 5.6.7
        "Fri, 17 Jan 2025 05:30:00 EST",  # RFC 5322, 4.3
        "Fri Jan 17 10:30:00 UTC 2025",  # date(1)
        "2025-01-17 10:30:00 +0000 UTC",  # Go's time.Time.String
        "2025-01-17 12:30:00.000000 +0200 CEST m=+0.000012",
        "1/17/2025 10:30:00 AM", "01/17/2025 10:30:00", "17/01/2025 10:30:00", "17.01.2025 10:30:00",
        "Jan 17, 2025 10:30:00 AM", "Friday, January 17, 2025 10:30:00", "17-Jan-2025 10:30:00",
        "20250117T103000Z", "20250117T113000+01:00", "20250117103000", "2025-01-17T10:30:00,000Z",
        "Friday, 17-Jan-25 10:30:00 GMT",  # RFC 850, in RFC 9110, 5.6.7
        "2025-01-17T11:30:00+01:00[Europe/Berlin]", "2025-01-17T10:30:00Z[UTC]",  # java.time.ZonedDateTime
        "Fri Jan 17 2025 11:30:00 GMT+0100 (Central European Standard Time)",  # ECMAScript, Date.prototype.toString
        "[17/Jan/2025:10:30:00 +0000]", "[2025-01-17T10:30:00Z]",
        "17/janv./2025:10:30:00 +0000", "17/Ene/2025:10:30:00 +0000", "17/янв/2025:13:30:00 +0300",
    ],
)  # fmt: skip
def test_times_spelled_for_people(text: str) -> None:
    assert parse(pl.Series([text])).to_list() == [HALF_PAST_TEN]
    assert parse(pl.Series(["2025-01-17T10:30:00Z", text, "x:y"])).to_list() == [HALF_PAST_TEN, HALF_PAST_TEN, None]


def test_what_was_read_before_does_not_matter() -> None:
    """Fourteen digits are a basic date of ISO 8601 where they can be one, else milliseconds since 1970."""
    number, date = "20259999103000", "20250117103000"
    for texts in ([number], [date], [number, date], [date, number]):
        for text, time in zip(texts, parse(pl.Series(texts)), strict=True):
            assert time == HALF_PAST_TEN if text == date else time.year == 2612


def test_months_of_other_languages() -> None:
    """As glibc abbreviates them; Latin-1 arrives as its escape, as all that is not UTF-8."""
    months = {"Mai": 5, "févr.": 2, "f\\xe9vr.": 2, "Dez": 12, "ago": 8, "paź": 10, "märz": 3, "M\\xe4r": 3, "Şub": 2}
    texts = pl.Series([f"17/{name}/2025:10:30:00 +0000" for name in months])
    assert [time.month for time in parse(texts)] == [*months.values()]


def test_day_and_month_are_told_apart_by_the_lines_beside_it_or_not_at_all() -> None:
    def days(*texts: str) -> list[str | None]:
        return [time and f"{time:%d.%m.}" for time in parse(pl.Series(texts)).to_list()]

    assert days("03/04/2025 10:30:00") == [None]
    assert days("03/04/2025 10:30:00", "03/17/2025 10:30:00") == ["04.03.", "17.03."]
    assert days("03/04/2025 10:30:00", "17/03/2025 10:30:00") == ["03.04.", "17.03."]
    assert days("03/04/2025 10:30:00", "17/03/2025 10:30:00", "03/17/2025 10:30:00") == [None, "17.03.", "17.03."]
    assert days("3/4/2025 1:30:00 PM", "05/05/2025 10:30:00") == ["04.03.", "05.05."]
