"""Two formats in one source, nothing named: every line is read as its own format, or rejected; none as the other.

Any placement, period and share of the lines is found; neither chunks nor an archive make a difference.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import mixtures
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logstats
from logstats import api
from logstats.archive.create import init
from logstats.formats.detection.unread import picked
from logstats.formats.fields.columns import Batch
from logstats.formats.registry import builtin
from logstats.formats.text import Text
from logstats.pipeline import Counts

COLUMNS = ("timestamp", "method", "path", "status", "bytes", "client_ip", "user_id", "user_agent", "duration_ms")

COMBINED = '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "UA"'
TEXT = "worker took a job from the queue"
JSON = '{"time":"2025-01-17T10:30:00Z","level":"info","method":"GET","path":"/j","status":201,"client_ip":"192.0.2.8"}'
W3C = ["#Fields: date time c-ip cs-method cs-uri-stem sc-status", "2025-01-17 10:30:00 203.0.113.9 GET /w 202"]


def read(path: Path, **options: Any) -> tuple[dict[int, dict[str, Any]], Counts]:
    counts = Counts()
    frames = list(logstats.read(path, columns=COLUMNS, counts=counts, **options))
    return {row.pop("line"): row for frame in frames for row in frame.drop("source").to_dicts()}, counts


@pytest.mark.parametrize("period", [2, 3, 7, 12, 25, 60, 100])
@pytest.mark.parametrize("offset", [0, 1])
def test_requests_among_text_are_found_at_any_share(tmp_path: Path, period: int, offset: int) -> None:
    lines = [COMBINED if number % period == offset else f"{TEXT} {number}" for number in range(3000)]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines))
    rows, counts = read(path)
    assert [*rows] == [number for number, line in enumerate(lines, 1) if line == COMBINED]
    assert counts.sources[0].formats == ["combined"]


@pytest.mark.parametrize("banner", [99, 100, 120, 5000])
def test_a_banner_does_not_decide_for_ever(tmp_path: Path, banner: int) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([*(f"{TEXT} {n}" for n in range(banner)), *[COMBINED] * 500]))
    report = logstats.report(path)
    assert (report.requests, report.rejected) == (500, banner)
    assert report.to_dict()["sources"][0]["formats"] == ["combined"]


def test_directives_further_on_say_what_the_lines_after_them_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[COMBINED] * 150, W3C[0], *[W3C[1]] * 50, *[COMBINED] * 5]))
    rows, counts = read(path)
    assert [row["path"] for row in rows.values()] == ["/a"] * 150 + ["/w"] * 50 + ["/a"] * 5
    assert (counts.rejected, counts.ignored) == (0, 1)


@pytest.mark.parametrize(("first", "then"), [("combined", "hypercorn"), ("hypercorn", "combined")])
def test_lines_that_two_formats_of_a_source_read_otherwise_are_said(tmp_path: Path, first: str, then: str) -> None:
    """The last four digits of `2001:db8::1:8000` are a group of an address (RFC 4291), or the port that Hypercorn
    writes behind a client. The version without `HTTP/` is Hypercorn's, or what a client sent to another server."""
    lines = {
        "combined": COMBINED.replace("192.0.2.7", "2001:db8::7"),
        "hypercorn": COMBINED.replace("192.0.2.7", "192.0.2.7:51234").replace("HTTP/1.1", "1.1"),
    }
    open_line = '2001:db8::1:8000 - - [17/Jan/2025:10:30:00 +0000] "GET /b 1.1" 200 5 "-" "UA"'
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[lines[first]] * 150, *[lines[then]] * 150, open_line]))
    report = logstats.report(path)
    assert report.to_dict()["sources"][0]["formats"] == [first, then]
    (note,) = [note for note in report.notes if "nothing says that" in note]
    assert "`2001:db8::1:8000 - - …`" in note
    assert "are read as hypercorn" in note
    rows, _ = read(path)
    assert (rows[301]["client_ip"], rows[301]["path"]) == ("2001:db8::1", "/b")


def test_a_version_without_a_name_is_of_hypercorn_or_malformed(tmp_path: Path) -> None:
    """RFC 9112, section 2.3: HTTP-version has a name. A server logs what it was sent."""
    path, line = tmp_path / "a.log", '2001:db8::1:8000 - - [17/Jan/2025:10:30:00 +0000] "GET /b 1.1" 200 5 "-" "UA"'
    for first, others in ((COMBINED, [line]), (COMBINED, [line] * 50), (COMBINED[:-9], [line[:-9]])):
        path.write_text("\n".join([*[first] * 20, *others]))
        found = logstats.report(path)
        rows, _ = read(path)
        formats = ["combined", "hypercorn"] if first == COMBINED else ["common"]
        assert sorted(found.to_dict()["sources"][0]["formats"]) == formats
        assert [rows[n]["path"] for n in range(21, 21 + len(others))] == [
            "/b" if first == COMBINED else "/b 1.1"
        ] * len(others)


def test_formats_whose_lines_differ_have_no_such_note(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[COMBINED] * 150, *[JSON] * 150, W3C[0], *[W3C[1]] * 50]))
    assert logstats.report(path).notes == []


@pytest.mark.parametrize("size", [1_000, 10_000, 12 << 20])
def test_chunks_do_not_matter(tmp_path: Path, chunks_of: Callable[[int], None], size: int) -> None:
    chunks_of(size)
    path = tmp_path / "a.log"
    lines = [*[COMBINED] * 150, *[JSON] * 150, TEXT, W3C[0], *[W3C[1]] * 100, *[COMBINED, JSON, TEXT, W3C[1]] * 100]
    path.write_text("\n".join(lines))
    rows, counts = read(path)
    statuses = {COMBINED: 200, JSON: 201, W3C[1]: 202}
    assert {line: row["status"] for line, row in rows.items()} == {
        number: statuses[line] for number, line in enumerate(lines, 1) if line in statuses
    }
    assert (counts.rejected, counts.ignored) == (101, 1)
    formats = counts.sources[0].formats
    assert formats[:2] == ["combined", "json"]
    assert len(formats) == 3


def test_a_format_that_was_named_reads_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[COMBINED] * 150, *[JSON] * 150]))
    report = logstats.report(path, format="combined")
    assert (report.requests, report.rejected, report.sources[0].formats) == (150, 150, ["combined"])


def test_an_archive_takes_the_same_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in [*[COMBINED] * 150, *[JSON] * 150]))
    root = init(tmp_path / "archive").root
    api.add([path], root)
    with path.open("a") as file:
        file.write(f"{JSON}\n{COMBINED}\n" * 20)
    api.add([path], root)
    report = logstats.report(archive=root)
    assert (report.requests, report.rejected) == (340, 0)
    assert report.sources[0].formats == ["combined", "json"]


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("line", "want"),
    [
        # A list where the client stands is a chain, whose first address is the client.
        (COMBINED.replace("192.0.2.7", "203.0.113.9, 198.51.100.2"), ("203.0.113.9", None)),
        (COMBINED.replace("192.0.2.7", "unknown, 203.0.113.9,198.51.100.2"), ("203.0.113.9", None)),
        (COMBINED.replace("192.0.2.7", "fe80::1%eth0"), ("fe80::1%eth0", None)),
        (COMBINED.replace("192.0.2.7", "[2001:db8::1]"), ("2001:db8::1", None)),
        (COMBINED.replace("192.0.2.7", "unix:"), ("unix:", None)),
        (COMBINED.replace("192.0.2.7", "host-7.example.com"), ("host-7.example.com", None)),
        (COMBINED.replace("- - [", "- john smith ["), ("192.0.2.7", "john smith")),
        (COMBINED.replace("192.0.2.7", "192.0.2.7:80"), ("192.0.2.7", None)),
        (COMBINED.replace("192.0.2.7", "[httpd]"), "bad_client_ip"),
        (COMBINED.replace("192.0.2.7", "1737109800"), "bad_client_ip"),
        ("[httpd] " + COMBINED, "bad_client_ip"),
        ("<190>" + COMBINED, "bad_client_ip"),
        ("pod-abc nginx " + COMBINED, "bad_user_id"),
        ("example.com:80 " + COMBINED, "bad_client_ip"),
        ("\0\0\0" + COMBINED, ("192.0.2.7", None)),  # of a copytruncate
        (COMBINED + ' "203.0.113.9"', "trailing_text"),
        (COMBINED + " 443", "trailing_text"),
        (COMBINED.replace('"UA"', '"a "quoted" agent"'), ("192.0.2.7", None)),
        # A line that breaks off, where another begins.
        (COMBINED.partition("/Jan")[0] + COMBINED, "bad_time"),
        (COMBINED.partition(" HTTP")[0] + COMBINED, "trailing_text"),
        (COMBINED.partition(' "-"')[0] + COMBINED, "bad_size"),
        (COMBINED.partition("UA")[0] + COMBINED, "trailing_text"),
        (COMBINED + COMBINED, "trailing_text"),
    ],
)
@pytest.mark.parametrize("many", [1, 2000])
def test_a_line_is_of_a_format_if_its_values_look_so(
    tmp_path: Path, line: str, want: tuple[str, str | None] | str, many: int
) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[COMBINED] * many, line]))
    rows, counts = read(path, format="combined")
    if isinstance(want, str):
        assert (len(rows), counts.reasons) == (many, {want: 1})
    else:
        row = rows[many + 1]
        assert ((row["client_ip"], row["user_id"]), row["path"], row["status"]) == (want, "/a", 200)


@pytest.mark.parametrize("many", [1, 2000])
@pytest.mark.parametrize(
    "form",
    [
        '{{"time":"2025-01-17T10:30:00Z","level":"info","msg":"x","method":"{0}","client_ip":"{1}"{2}}}',
        'time=2025-01-17T10:30:00Z level=info msg=x method={0} client_ip="{1}"{3}',
        '2025-01-17T10:30:00Z INFO x method={0} client_ip="{1}"{3}',
    ],
)
def test_a_value_under_a_key_is_what_its_role_says_or_invalid(tmp_path: Path, form: str, many: int) -> None:
    request = (',"path":"/a","status":200', " path=/a status=200")
    lines = [
        *[form.format("GET", "192.0.2.7", *request)] * many,
        form.format("post", "192.0.2.7:5000", *request),
        form.format("GET", "192.0.2.8, 10.0.0.1", *request),
        form.format("GET", "Acme Corp", *request),
        form.format("sendEmail", "192.0.2.9", "", ""),  # a call within the application: an event
    ]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines))
    rows, counts = read(path)
    found = [(rows[n]["method"], rows[n]["client_ip"]) for n in range(many, many + 5)]
    assert found == [
        ("GET", "192.0.2.7"), ("post", "192.0.2.7"), ("GET", "192.0.2.8"), ("GET", None), (None, "192.0.2.9")
    ]  # fmt: skip
    assert (counts.requests, counts.rejected, counts.invalid) == (many + 3, 0, {"client_ip": 1, "method": 1})


# ------------------------------------------------------------------ every two formats


def some_pairs() -> list[tuple[str, str]]:
    """A sample of them; `scripts/mixing.py` tries all."""
    return random.Random(12).sample([*combinations(mixtures.names(), 2)], 14)


@pytest.mark.parametrize("pair", some_pairs(), ids=" beside ".join)
def test_no_line_is_read_as_another_format_has_it(tmp_path: Path, pair: tuple[str, str]) -> None:
    one, two = map(mixtures.dialect, pair)
    for way, read in mixtures.ways(one, two, tmp_path):
        for name, outcome in read.outcomes.items():
            wrong = [odd for odd in outcome.wrong if not mixtures.why_alike(one, two, odd[1])]
            assert not wrong, (name, way, read.formats)


@pytest.mark.parametrize(
    ("name", "other"),
    [("kv", "logfmt"), ("kv", "lograge"), ("kv", "spring_boot"), ("kv", "uvicorn_time"), ("logfmt", "tracing")],
)
def test_lines_with_a_time_and_a_level_in_front_are_of_their_own_formats(tmp_path: Path, name: str, other: str) -> None:
    one, two = map(mixtures.dialect, (name, other))
    for way, read in mixtures.ways(one, two, tmp_path):
        right = [(outcome.right, outcome.rejected) for outcome in read.outcomes.values()]
        assert right == [(mixtures.LINES, 0)] * 2, (way, read.formats)


@pytest.mark.parametrize("name", ["rails", "phoenix", "spring_boot", "uvicorn_time"])
@pytest.mark.parametrize("beside", ["kv", "json", None])
def test_a_hundredth_of_the_lines_is_found(tmp_path: Path, name: str, beside: str | None) -> None:
    rare, most = mixtures.dialect(name), beside and mixtures.dialect(beside)

    def lines() -> mixtures.Mixture:
        for place in range(400):
            number, which = divmod(place - 37, 100)
            if number >= 0 and which < 2:  # of a pair of lines both
                yield rare.lines[2 * number + which], rare, 2 * number + which
            elif most:
                yield most.lines[place % mixtures.LINES], most, place % mixtures.LINES
            else:
                yield f"{TEXT} {place}", None, 0

    (read,) = mixtures.read_all([lines()], tmp_path)
    assert not any(outcome.rejected or outcome.wrong for outcome in read.outcomes.values()), read.formats


@pytest.mark.parametrize("name", [name for name in mixtures.names() if not builtin()[name.split(" ")[0]].pairs])
def test_a_line_says_the_same_beside_others_of_its_format(name: str) -> None:
    """A value that one line has and another lacks, such as an epoch beside date and time, is missing in neither.
    Lines that were varied from one sample have the same."""
    own = mixtures.dialect(name)
    lines = own.lines[: min(max(2, mixtures.varied_from(name)), 12)]
    form = builtin()[own.format]
    alone = [row for line in lines for row in mixtures.rows_of(form, own.head, [line])]
    assert mixtures.rows_of(form, own.head, lines) == alone


def test_formats_that_write_the_same_text_are_told_apart_by_unit_only() -> None:
    one, two, other = map(mixtures.dialect, ("combined_us", "combined_ms", "common_us"))
    assert mixtures.why_alike(one, two, "duration_ms")
    assert not mixtures.why_alike(one, two, "path")
    assert not mixtures.why_alike(one, other, "duration_ms")


# ------------------------------------------------------------------ any placement, period and share

PROSE = ("worker took a job from the queue", "    at com.example.Foo.bar(Foo.java:7)", "Starting server on port 8080")
FINDABLE = ("combined", "json", "nginx_upstream", "haproxy", "gin", "caddy", "squid", "aws_alb", "morgan_dev", "app")


@given(
    name=st.sampled_from(FINDABLE),
    share=st.integers(1, 100),
    places=st.randoms(use_true_random=False),
    regular=st.booleans(),
    prose=st.integers(1, 3),
)
@settings(max_examples=8)
def test_a_format_is_found_wherever_its_lines_stand(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: int, places: random.Random, regular: bool, prose: int
) -> None:
    """`share` of 100 lines have the format: at regular distances, or anywhere."""
    of_format, lines = mixtures.dialect(name), 700
    offset = places.randrange(100)
    own = range(offset, lines, max(100 // share, 1)) if regular else places.sample(range(lines), lines * share // 100)
    number = {place: n % mixtures.LINES for n, place in enumerate(sorted(own))}
    mixed = (
        (of_format.lines[number[place]], of_format, number[place])
        if place in number
        else (f"{PROSE[place % prose]} {place}", None, 0)
        for place in range(lines)
    )
    (read,) = mixtures.read_all([mixed], tmp_path_factory.mktemp("mixed"))
    outcome = read.outcomes[name]
    assert (outcome.right, outcome.rejected, outcome.wrong) == (len(number), 0, []), read.formats


MANY = ("combined", "json", "gin", "squid", "logfmt", "uvicorn", "morgan_dev")


@pytest.mark.parametrize("rare", [False, True])
def test_many_formats_in_one_chunk(tmp_path: Path, rare: bool) -> None:
    """One after the other, or a line of each in 100; some of which have neither a time nor a client."""
    lines: list[mixtures.Line] = []
    for which, name in enumerate(MANY):
        dialect = mixtures.dialect(name)
        lines += [(dialect.lines[n], dialect, n) for n in range(60)]
        lines += [(f"2025-01-17 10:00:{n:02} INFO com.example.Main - tick {which}", None, 0) for n in range(60)]
    if rare:
        lines += [(f"DEBUG something happened {n}", None, 0) for n in range(5_000)]
        random.Random(3).shuffle(lines)
    (read,) = mixtures.read_all([lines], tmp_path)
    assert {name: (found.right, found.wrong) for name, found in read.outcomes.items()} == dict.fromkeys(MANY, (60, []))


# ------------------------------------------------------------------ what makes lines findable at all


def test_lines_of_every_format_are_offered_to_detection() -> None:
    lines = [
        line
        for form in builtin().values()
        if not form.wraps
        for sample in form.samples
        if not sample.rejected
        for line in sample.line.split("\n")
        if line.strip() and not line.startswith("#")
    ]
    assert len(lines) > 150
    nothing = pl.DataFrame(schema={"line": pl.UInt32})
    for line in lines:
        rejected = pl.DataFrame({"line": [0], "reason": ["no_match"]}, schema_overrides={"line": pl.UInt32})
        unread = Batch(nothing, rejected, 0, 1, {})
        assert picked(Text.from_bytes(line.encode()), unread) == (line,)


# ------------------------------------------------------------------ requests in the texts of events

EVENT = {
    "logfmt": 'time=2025-01-17T10:29:00Z level=info msg="took a job" queue=mail',
    "kv": "2025-01-17 10:29:00 INFO took a job queue=mail",
    "json": '{"time":"2025-01-17T10:29:00Z","level":"info","msg":"took a job"}',
}
IN_A_TEXT: dict[str, Callable[[str], str]] = {
    "logfmt": lambda line: f"time=2025-01-17T10:31:00Z level=info msg={json.dumps(line)}",
    "kv": lambda line: f"2025-01-17 10:31:00 info: {line}",
    "json": lambda line: f'{{"time":"2025-01-17T10:31:00Z","level":"info","msg":{json.dumps(line)}}}',
}


@pytest.mark.parametrize("around", [*IN_A_TEXT])
@pytest.mark.parametrize("period", [1, 2, 100])
def test_an_access_line_in_the_text_of_an_event_is_a_request(tmp_path: Path, around: str, period: int) -> None:
    """As a logger writes what an access log's middleware gives it, among the events of the program."""
    line = COMBINED.replace("/a", "/a?b=c")
    lines = [IN_A_TEXT[around](line) if n % period == period - 1 else EVENT[around] for n in range(300)]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines))
    rows, counts = read(path)
    requests = 300 // period
    assert (counts.requests, counts.events, counts.rejected) == (requests, 300 - requests, 0)
    row = rows[300]
    assert (row["client_ip"], row["method"], row["path"], row["status"]) == ("192.0.2.7", "GET", "/a", 200)
    assert row["timestamp"].isoformat() == "2025-01-17T10:30:00+00:00"  # its own, not that of the logger


@pytest.mark.parametrize("around", [*IN_A_TEXT])
def test_a_text_that_no_format_reads_stays_an_event(tmp_path: Path, around: str) -> None:
    path = tmp_path / "a.log"
    text = 'the proxy said "GET /a HTTP/1.1" 200 5 and was gone'
    path.write_text("\n".join([*[EVENT[around]] * 120, *[IN_A_TEXT[around](text)] * 30]))
    _, counts = read(path)
    assert (counts.requests, counts.events, counts.rejected) == (0, 150, 0)


@pytest.mark.parametrize("period", [1, 2, 100])
def test_a_short_request_behind_a_level_is_a_request(tmp_path: Path, period: int) -> None:
    """A text in the middle of words is none: only method, path, status and a duration with its unit are certain."""
    lines = [
        "2025-01-17 10:31:00 info: GET /a 200 12ms" if n % period == period - 1 else EVENT["kv"] for n in range(300)
    ]
    path = tmp_path / "a.log"
    path.write_text("\n".join([*lines, "2025-01-17 10:31:00 info: asked for GET /a 200 times"]))
    rows, counts = read(path)
    assert (counts.requests, counts.events) == (300 // period, 301 - 300 // period)
    assert (rows[300]["path"], rows[300]["status"], rows[300]["duration_ms"]) == ("/a", 200, 12.0)


def test_a_level_in_front_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"2025-01-17T10:31:00.000Z info: {COMBINED}\n" * 5)
    rows = pl.concat(logstats.read(path, columns=["app_name", "path"]))
    assert rows["app_name"].to_list() == [None] * 5
    assert rows["path"].to_list() == ["/a"] * 5


@pytest.mark.parametrize("around", ["logfmt", "json"])
def test_keys_of_a_request_say_more_than_the_line_in_its_text(tmp_path: Path, around: str) -> None:
    more = {"logfmt": " latency=12ms", "json": ',"latency":"12ms"}'}[around]
    path = tmp_path / "a.log"
    line = IN_A_TEXT[around](COMBINED)
    line = line.removesuffix("}") + more
    line += " method=GET path=/a status=200" if around == "logfmt" else ""
    line = line[:-1] + ',"method":"GET","path":"/a","status":200}' if around == "json" else line
    path.write_text(f"{line}\n" * 5)
    rows, counts = read(path)
    assert (counts.requests, rows[1]["status"], rows[1]["duration_ms"]) == (5, 200, 12.0)
