"""`--where`: the language of expressions, what it means row by row, where an error points, and what it may cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import invoke
from reference import holds

import logstats
from logstats import api, schema
from logstats.enrich.computed import Columns
from logstats.errors import ExpressionError, UsageError
from logstats.expressions.compiled import expression
from logstats.expressions.predicates import begins_one, equal, needs, one_sided, parse, span
from logstats.filters import Filters

NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)
TEXTS = ["", "a", "curl/8.5", "GoogleBot (+http://x)", "/api/bugs", "/api/[a]?b", 'say "hi"', "it's", "a\nb", "é", "A"]
ADDRESSES = ["192.0.2.7", "192.0.3.7", "10.0.0.1", "2001:db8::1", "2001:db9::1", "::ffff:192.0.2.7", "255.255.255.255"]
ROW = st.fixed_dictionaries(
    {
        "method": st.sampled_from([None, "GET", "get", "POST"]),
        "path": st.sampled_from([None, *TEXTS]),
        "user_agent": st.sampled_from([None, *TEXTS]),
        "status": st.sampled_from([None, 100, 200, 299, 404, 500, 599, 999]),
        "duration_ms": st.one_of(st.none(), st.integers(0, 4_000_000).map(lambda ns: ns / 1e6)),
        "bytes": st.sampled_from([None, 0, 1, 999, 1000, 1024, 2**62, 2**63 - 1]),
        "client_ip": st.sampled_from([None, *ADDRESSES]),
        "timestamp": st.one_of(st.none(), st.integers(-3, 3).map(lambda us: NOON + timedelta(microseconds=us))),
    }
)


def quoted(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(['"', "'"]).map(lambda mark: mark + text.replace(mark, mark * 2) + mark)


@st.composite
def value(draw: st.DrawFn, column: str) -> tuple[str, Any]:
    """A value as an expression spells it, and as Python sees it."""
    if column == "status":
        number = draw(st.sampled_from([100, 200, 404, 500]))
        if draw(st.booleans()):
            return f"{number // 100}{draw(st.sampled_from(['xx', 'XX']))}", (
                number // 100 * 100,
                number // 100 * 100 + 99,
            )
        return str(number), number
    if column == "duration_ms":
        unit, ns = draw(st.sampled_from([("ns", 1), ("us", 1000), ("ms", 10**6), ("s", 10**9)]))
        digits = draw(st.integers(0, 50))
        return f"{digits / 10}{draw(st.sampled_from(['', ' ']))}{unit}", Fraction(digits, 10) * ns / 10**6
    if column == "bytes":
        unit, size = draw(st.sampled_from([("", 1), ("B", 1), ("kB", 1000), ("KiB", 1024), ("TiB", 2**40)]))
        number = draw(st.sampled_from(["0", "1", "0.999", "1.0005", "9999999999999999999"]))
        return number + unit, Fraction(number) * size
    if column == "client_ip":
        text = draw(st.sampled_from([*ADDRESSES, "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "192.0.2.9/23"]))
        return text, ip_network(text.removeprefix("::ffff:"), strict=False)  # RFC 4291: an IPv4 address, mapped
    if column == "timestamp":
        micros = draw(st.integers(-2, 2))
        moment = NOON + timedelta(microseconds=micros)
        return moment.isoformat().replace("+00:00", draw(st.sampled_from(["", "Z", "+00:00"]))), moment
    text = draw(st.sampled_from(TEXTS))
    return draw(quoted(text)), text


@st.composite
def a_test(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    column = draw(
        st.sampled_from(["method", "path", "user_agent", "status", "duration_ms", "bytes", "client_ip", "timestamp"])
    )
    name = {"duration_ms": "duration", "timestamp": "time"}.get(column, column) if draw(st.booleans()) else column
    texts, ordered = column in ("method", "path", "user_agent"), column in ("duration_ms", "bytes", "timestamp")
    kinds = ["=", "in", "null", "alone"] + ["contains", "~"] * texts + ["<"] * (ordered or column == "status")
    kind = draw(st.sampled_from(kinds))
    if kind == "alone":
        return name, ("not", ("null", column))
    if kind == "null":
        negated = draw(st.booleans())
        return f"{name} is {'not ' * negated}null", ("not", ("null", column)) if negated else ("null", column)
    if kind == "contains":
        part = draw(st.sampled_from(["", "a", "(", '"', "bugs", "A"]))
        return f"{name} contains {draw(quoted(part))}", ("contains", column, part)
    if kind == "~":
        pattern = draw(st.sampled_from(["^/api/", r"\.[0-9]", "[Bb]ot", "a|b", "", "(?i)^a$", "(x+x+)+y"]))
        negated = draw(st.booleans())
        tree = ("~", column, pattern)
        return f"{name} {'!' * negated}~ {draw(quoted(pattern))}", ("not", tree) if negated else tree
    if kind == "in":
        values = draw(st.lists(value(column), min_size=1, max_size=3))
        negated = draw(st.booleans())
        listed = ", ".join(text for text, _ in values)
        spelt = listed if len(values) == 1 and draw(st.booleans()) else f"({listed})"
        tree = ("in", column, [one for _, one in values])
        return f"{name} {'not ' * negated}in {spelt}", ("not", tree) if negated else tree
    text, meant = draw(value(column).filter(lambda found: kind == "=" or not isinstance(found[1], tuple)))
    op = draw(st.sampled_from(["=", "==", "!="] if kind == "=" else ["<", "<=", ">", ">="]))
    blank = draw(st.sampled_from(["", " "]))
    return f"{name}{blank}{op}{blank}{text}", (op, column, meant)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.tuples(st.sampled_from(["and", "or", "AND", "Or"]), st.lists(inner, min_size=2, max_size=3))
    return st.one_of(
        several.map(
            lambda x: (f" {x[0]} ".join(f"({t})" for t, _ in x[1]), (x[0].lower(), *(tree for _, tree in x[1])))
        ),
        inner.map(lambda x: (f"not ({x[0]})", ("not", x[1]))),
    )


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    kinds = schema.dtypes()
    return pl.DataFrame(rows, schema={name: kinds[name] for name in rows[0]})


@given(st.recursive(a_test(), combined, max_leaves=6), st.lists(ROW, min_size=1, max_size=20))
def test_an_expression_means_what_it_means_row_by_row(made: tuple[str, Any], rows: list[dict[str, Any]]) -> None:
    text, tree = made
    predicate = parse(text)
    found = frame(rows).select(expression(predicate).alias("x"))["x"].to_list()
    assert found == [holds(tree, row) for row in rows]
    assert needs(predicate) <= set(rows[0])
    since, until = span(predicate)
    for row, true in zip(rows, found, strict=True):
        if true and row["timestamp"] is not None:
            assert (since is None or since <= row["timestamp"]) and (until is None or row["timestamp"] < until)
        assert not (true and row["timestamp"] is None and (since or until))
        for name, texts in equal(predicate).items() if true else ():
            assert row[name].removeprefix("::ffff:" if name == "client_ip" else "") in texts


def test_what_columns_are_equal_to() -> None:
    assert equal(parse("trace_id = 'a' and (path in ('/x', '/y') or path = '/z') and status = 200")) == {
        "trace_id": {"a"},
        "path": {"/x", "/y", "/z"},
    }
    assert equal(parse("ip = 192.0.2.7 and ip in (192.0.2.7, 192.0.2.8)")) == {"client_ip": {"192.0.2.7"}}
    for text in ("ip in (192.0.2.7, 10.0.0.0/8)", "ip = 2001:db8::1", "path = /x*", "method = GET", "path != '/x'"):
        assert equal(parse(text)) == {}, text
    assert equal(parse("path = '/x' or user_id = 'a'")) == {}
    filters = logstats.Options(path=("/x", "/y"), where="path in ('/y', '/z')").filters()
    assert filters.equal() == {"path": {"/y"}}
    assert logstats.Options(path=("/x", "/y*")).filters().equal() == {}


def test_and_binds_closer_than_or_and_not_closest() -> None:
    rows = [{"status": s, "method": m} for s in (200, 404, 500) for m in ("GET", "POST")]

    def kept(text: str) -> list[tuple[int, str]]:
        return [(row["status"], row["method"]) for row in frame(rows).filter(expression(parse(text))).to_dicts()]

    assert kept("status = 404 or status = 500 and method = GET") == [(404, "GET"), (404, "POST"), (500, "GET")]
    assert kept("not status = 404 and method = get") == [(200, "GET"), (500, "GET")]
    assert kept("not (status = 404 or method = GET)") == [(200, "POST"), (500, "POST")]
    assert kept("not not status = 4xx") == [(404, "GET"), (404, "POST")]


def test_a_text_without_quotation_marks_may_be_a_glob() -> None:
    paths = frame([{"path": text} for text in ("/api/bugs", "/api/*", "/x", None)])

    def kept(text: str) -> list[str]:
        return paths.filter(expression(parse(text)))["path"].to_list()

    assert kept("path = /api/*") == ["/api/bugs", "/api/*"]
    assert kept('path = "/api/*"') == ["/api/*"]
    assert kept("path in (/x, /api/b*)") == ["/api/bugs", "/x"]
    assert kept("path != /api/*") == ["/x"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ip/24 = 192.0.2.9", ["192.0.2.7"]),
        ("ip/24 in (192.0.2.0/24, 10.0.0.1)", ["192.0.2.7", "10.0.0.9"]),
        ("ip/24 = 2001:db8::1", ["2001:db8::7"]),
        ("ip/24/32 != 2001:db8:1::", ["192.0.2.7", "10.0.0.9", "a.example"]),
        ('ip/24 = "a.example"', ["a.example"]),
        ("ip/24 = 192.*", ["192.0.2.7"]),
        ("client_ip = ::ffff:192.0.2.7", ["192.0.2.7"]),
        ("client_ip in (::ffff:a00:0/104, ::/0)", ["10.0.0.9", "2001:db8::7"]),
        ("weekday = sat and bot_class is null and kind = request", ["10.0.0.9"]),
    ],
)
def test_values_that_are_written_in_several_ways(text: str, found: list[str]) -> None:
    rows = frame([{"client_ip": ip} for ip in ("192.0.2.7", "10.0.0.9", "2001:db8::7", "a.example")])
    days = pl.Series("weekday", ["Fri", "Sat", "Sun", "Mon"])
    rows = rows.with_columns(days, pl.lit("request").alias("kind"), pl.lit(None, pl.String).alias("bot_class"))
    predicate = parse(text)
    assert Columns().add(rows, needs(predicate)).filter(expression(predicate))["client_ip"].to_list() == found


WRONG = {  # the caret stands under the place
    "": ("^", "expected an expression"),
    "stauts >= 500": ("^", "did you mean status?"),
    "status >= 500 and clinet_ip in 10.0.0.0/8": ("                  ^", "did you mean client_ip?"),
    "status": None,
    "status 500": ("       ^", "expected one of"),
    "status > 5xx": ("       ^", "is not more or less"),
    "status = 42": ("         ^", "a status is a number"),
    "duration > 2": ("            ^", "expected a unit, such as 2ms or 2s"),
    "duration > 2 parsecs": ("             ^", "expected a unit"),
    "bytes > 2 parsecs": ("          ^", "nothing was expected after 2"),
    "time > soon": ("       ^", "is not a time"),
    "client_ip in 10.0.0.0/33": ("             ^", "no address and no network"),
    "client_ip in (10.0.0.1, x)": ("                        ^", "no address"),
    "client_ip in (10.0.0.1": ("                      ^", "expected , or )"),
    'path ~ "(a"': ("       ^", "unclosed group"),
    'path ~ "(?<=a)b"': ("       ^", "look-around"),
    r'path ~ "(a)\1"': ("       ^", "backreferences are not supported"),
    'path ~ "a{1000}{1000}{1000}"': ("       ^", "exceeds size limit"),
    'status ~ "5.."': ("       ^", "~ is for texts"),
    "bytes contains 5": ("      ^", "contains is for texts"),
    'path = "/a': ("       ^", "is not closed"),
    r'path = "a\"b"': ("           ^", "is written twice"),
    "path < b": ("     ^", "is not more or less"),
    "path =": ("      ^", "expected a text"),
    "path = /a /b": ("          ^", "nothing was expected"),
    "user_id = null": ("          ^", "user_id is null"),
    "duration > null": ("           ^", "duration_ms is null"),
    "weekday = Foo": ("          ^", "it is Mon, Tue, Wed"),
    "kind in (request, row)": ("                  ^", "request or event"),
    'bot_class = "AI bot"': ("            ^", "bot_class is never AI bot"),
    "country != Germany": ("           ^", "country = DE"),
    "country in (DE, FR) and hour = 25": ("                               ^", "from 0 to 23"),
    "asn = AS64496": ("      ^", "asn = 64496"),
    "ip/24 = 192.0.0.0/16": ("        ^", "client_ip in 192.0.0.0/16"),
    "ip/24 = x": ("        ^", "no address and no network"),
    'path like "/api/%"': ("     ^", "~ !~ in contains is"),
    "path is nul": ("        ^", "expected null"),
    "path not = /a": ("         ^", "expected in or contains after not"),
    "(status = 500": ("             ^", "expected )"),
    "status = 500)": ("            ^", "nothing was expected"),
    "status = 500 and": ("                ^", "expected a column"),
    "and status = 500": ("^", "expected a column"),
    "500 = status": ("^", "expected a column"),
    "status => 500": ("       ^", "expected one of"),
    "(" * 60 + "status": ("                                                  ^", "more than 50 brackets"),
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_points_at_the_place(text: str) -> None:
    expected = WRONG[text]
    if expected is None:
        parse(text)
        return
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    problem, shown, caret = caught.value.what.split("\n")
    assert (shown, caret) == (f"  {text}", f"  {expected[0]}")
    assert expected[1] in f"{problem} {caught.value.hint}"


@given(st.one_of(st.text(max_size=60), st.text("()\"'<>=~!, ain5xstatubyp/0.", max_size=60)))
def test_any_text_is_an_expression_or_an_error_in_it(text: str) -> None:
    begins_one(text)
    try:
        parse(text)
    except ExpressionError as error:
        assert 0 <= error.place <= len(text)


def test_a_regular_expression_takes_time_that_is_linear_in_the_line() -> None:
    """Backtracking would take 2 to the power of 50,000 steps."""
    rows = frame([{"path": "x" * 50_000}])
    assert rows.filter(expression(parse('path ~ "^(x+x+)+y$"'))).height == 0


# ------------------------------------------------------------------ wherever filters are

STATUSES = [200, 404, 503]
LINES = "".join(
    f"2025-01-17 {10 + i // 20}:30:{i % 20:02d} {'GET' if i % 3 else 'POST'} /api/{i % 7} {STATUSES[i % 3]} {i}ms\n"
    for i in range(60)
)


def test_reports_rows_conditions_and_objectives_take_it(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(LINES)
    where = "status >= 500 and duration > 20ms or path = /api/3"
    expected = [i for i in range(60) if (i % 3 == 2 and i > 20) or i % 7 == 3]
    report = logstats.report(log, where=where)
    assert (report.requests, report.filtered, report.filters) == (len(expected), 60 - len(expected), {"where": where})
    assert sum(frame.height for frame in logstats.read(log, where=[where])) == len(expected)
    both = logstats.report(log, where=["status = 503", "duration <= 20ms"])
    assert both.requests == len([i for i in range(60) if i % 3 == 2 and i <= 20])
    (threshold,) = logstats.report(log, fail_if=[f"{where}: requests > 5"]).thresholds
    assert threshold.value == len(expected)
    policy = tmp_path / "slo.toml"
    policy.write_text(
        "[[objective]]\nname='a'\nselect='status in (200, 503) and not method = POST'\n"
        "good='not (status = 5xx and duration > 30ms)'\ntarget=50\n"
    )
    ran = invoke("slo", "-q", "--policy", str(policy), str(log), "-o", "json")
    (result,) = json.loads(ran.stdout)["objectives"]
    selected = [i for i in range(60) if i % 3 == 2]  # every third of the others is a POST
    assert (result["requests"], result["bad"]) == (len(selected), len([i for i in selected if i > 30]))


def test_an_archive_reads_what_can_hold_it_and_takes_no_filter_itself(tmp_path: Path) -> None:
    log, place = tmp_path / "a.log", tmp_path / "archive"
    log.write_text(LINES)
    assert invoke("archive", "init", "-q", str(place)).returncode == 0
    refused = invoke("archive", "add", "-q", "--archive", str(place), "--where", "status = 200", str(log))
    assert refused.returncode == 2 and "archive add takes no filters" in refused.stderr.decode()
    with pytest.raises(UsageError):
        api.add(log, place, where="status = 200")
    assert invoke("archive", "add", "-q", "--archive", str(place), str(log)).returncode == 0
    where = "time >= 2025-01-17T11:00 and time < 2025-01-17T12:00 and status = 503"
    of_lines, of_archive = logstats.report(log, where=where), logstats.report(archive=place, where=where)
    assert (of_archive.requests, of_archive.filtered, of_archive.lines) == (of_lines.requests, of_lines.filtered, 60)
    files = sorted(place.glob("hot/**/*.parquet"))
    assert len(files) == 3
    files[0].write_bytes(b"damaged")  # ten o'clock: of no use here, and not opened
    assert logstats.report(archive=place, where=where).requests == of_lines.requests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duration < 1s and status >= 200", True),
        ("not (duration > 1s or status = 500)", True),
        ("duration < 1s and not duration >= 2s", True),
        ("duration is not null and duration <= 2s", True),
        ("duration > 1s and duration < 2s", False),
        ("duration < 1s or not duration < 2s", False),
        ("duration = 1s", False),
        ("duration in (1s, 2s)", False),
    ],
)
def test_what_buckets_of_durations_can_answer(text: str, expected: bool) -> None:
    assert one_sided(parse(text)) is expected


def test_times_are_those_of_the_zone() -> None:
    zoned = logstats.Options(where="time >= 2025-01-17T13:00", tz="Europe/Berlin").filters()
    assert zoned.span() == (NOON, None)
    assert zoned.expression() is not None and zoned != Filters()
