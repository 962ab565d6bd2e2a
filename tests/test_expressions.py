"""The language of conditions: what it means, and where an error points."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.errors import ExpressionError
from logstats.expressions.compiled import expression
from logstats.expressions.predicates import And, Compare, parse
from logstats.objectives.conditions import Selector, parse_condition, parse_selector
from logstats.objectives.rows import selection

METRICS = {
    "p99 > 500ms": ("p99", ">", Fraction(500), False),
    "p99.9<=1.5s": ("p99.9", "<=", Fraction(1500), False),
    "avg >= 250us": ("avg", ">=", Fraction(1, 4), False),
    "max != .5s": ("max", "!=", Fraction(500), False),
    "error_rate > 0.1%": ("error_rate", ">", Fraction(1, 1000), True),
    "availability < 99.9 %": ("availability", "<", Fraction(999, 1000), True),
    "requests < 1000": ("requests", "<", Fraction(1000), False),
    "rejected == 0": ("rejected", "==", Fraction(0), False),
    "rejected > 0.1%": ("rejected", ">", Fraction(1, 1000), True),
    "users < 5": ("users", "<", Fraction(5), False),
    "rps > 12.5": ("rps", ">", Fraction(25, 2), False),
}


@pytest.mark.parametrize("text", METRICS)
def test_what_a_condition_means(text: str) -> None:
    condition = parse_condition(text)
    assert (condition.name, condition.op, condition.limit, condition.ratio) == METRICS[text]
    assert condition.selector is None and condition.hold is None and condition.text == text


SELECTORS = {
    "GET /api/bugs*": Selector("GET /api/bugs*", method="GET", path="/api/bugs*"),
    "get /": Selector("get /", method="GET", path="/"),
    "/api/{id}/x": Selector("/api/{id}/x", path="/api/{id}/x"),
    "POST *": Selector("POST *", method="POST", path="*"),
    "(malformed)": Selector("(malformed)", path="(malformed)"),
    "host=shop.example:8080": Selector("host=shop.example:8080", host="shop.example:8080"),
    "app=bug tracker": Selector("app=bug tracker", app="bug tracker"),
    "/time/12:30/<int:id>": Selector("/time/12:30/<int:id>", path="/time/12:30/<int:id>"),
}


@pytest.mark.parametrize("text", SELECTORS)
def test_what_a_selector_means(text: str) -> None:
    assert parse_selector(text) == SELECTORS[text]
    condition = parse_condition(f" {text} : p95 > 200ms for 5m ")
    assert condition.selector == SELECTORS[text]
    assert (condition.name, condition.hold) == ("p95", 300)


WRONG = {  # a caret under the text stands for the place
    "": "^",
    "p99": "   ^",
    "p99 >> 5ms": "    ^",
    "p99 => 5ms": "    ^",
    "p99 > 5": "       ^",
    "p99 > 5 parsecs": "        ^",
    "p99 > 5%": "       ^",
    "p101 > 5ms": "^",
    "p0 > 5ms": "^",
    "p99.9.9 > 5ms": "^",
    "latency > 5ms": "^",
    "error_rate > 1": "              ^",
    "error_rate > 1ms": "              ^",
    "requests > 5%": "            ^",
    "requests > -5": "           ^",
    "requests > 1e3": "            ^",
    "requests > 5 6": "             ^",
    "avg > 1s for ever": "             ^",
    "avg > 1s for 5": "              ^",
    "GET: p95 > 1s": "   ^",
    "api/x: avg > 1s": "^",
    "host=: avg > 1s": "     ^",
    "GET /a: rejected > 1": "       ^",
    "/a: p95 > 1s: avg > 1s": None,  # the last colon ends the selector: this is a path with a colon in it
    "日本 > 1": "^",
    f"requests > {'9' * 31}": "           ^",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_points_at_the_place(text: str) -> None:
    if WRONG[text] is None:
        parse_condition(text)
        return
    with pytest.raises(ExpressionError) as caught:
        parse_condition(text)
    _, shown, caret = caught.value.what.split("\n")
    assert (shown, caret) == (f"  {text}", f"  {WRONG[text]}")


def test_the_caret_counts_columns_not_characters() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition("/日本: p95 ? 1s")
    _, shown, caret = caught.value.what.split("\n")
    assert shown == "  /日本: p95 ? 1s"
    assert caret.index("^") == 2 + len("/日本: p95 ") + 2  # two wide characters


def test_of_a_long_text_the_part_about_the_place_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(f"/{'a' * 1000}: p95 ? 1s{'b' * 1000}")
    _, shown, caret = caught.value.what.split("\n")
    assert shown[shown.index("?") :] == f"? 1s{'b' * 56}…" and shown.startswith("  …aaa")
    assert caret.index("^") == shown.index("?") == 2 + 1 + 60
    assert caught.value.place == 1002 + len(": p95 ") - 1


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_an_error_in_it(text: str) -> None:
    for read in (parse_condition, parse, parse_selector):
        try:
            read(text)
        except ExpressionError as error:
            assert 0 <= error.place <= len(text)
            assert len(error.what.split("\n")) == 3


def test_what_good_means() -> None:
    assert parse("status < 500") == Compare("status", "<", Fraction(500))
    assert parse("status<400 and duration <= 0.3s and duration > 5us") == And(
        (
            Compare("status", "<", Fraction(400)),
            Compare("duration_ms", "<=", Fraction(300)),
            Compare("duration_ms", ">", Fraction(5, 1000)),
        )
    )
    for text in ("status < 5", "status < 400.5", "duration < 3", "status < 500 or", "size < 3", "status < 500 and"):
        with pytest.raises(ExpressionError):
            parse(text)


ROWS = pl.DataFrame(
    {
        "method": ["GET", "POST", "get", None],
        "path": ["/api/bugs/17", "/api/bugs", "/", None],
        "endpoint": ["/api/bugs/{id}", "/api/bugs", "/", "(malformed)"],
        "host": ["shop.example", None, "SHOP.example", "a"],
        "app_name": ["one", "two", None, "two"],
    }
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/api/bugs*", [0, 1]),
        ("GET /api/bugs*", [0]),
        ("GET *", [0, 2]),
        ("/api/bugs/1?", [0]),
        ("/api/bugs/{id}", [0]),
        ("/api/bugs", [1]),
        ("/api.bugs", []),
        ("(malformed)", [3]),
        ("host=shop.*", [0]),
        ("app=t*", [1, 3]),
    ],
)
def test_which_requests_a_selector_selects(text: str, found: list[int]) -> None:
    chosen = ROWS.select(selection(parse_selector(text)).matches.alias("chosen"))["chosen"]
    assert chosen.null_count() == 0
    assert chosen.arg_true().to_list() == found


@given(
    status=st.one_of(st.none(), st.integers(100, 999)),
    micros=st.one_of(st.none(), st.integers(0, 2_000_000)),
    op=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    limit=st.integers(0, 4_000_000),
)
def test_a_good_request_is_decided_exactly(status: int | None, micros: int | None, op: str, limit: int) -> None:
    """Half microseconds as a limit; what was not logged decides nothing (three-valued logic)."""
    text = f"status < 500 and duration {op} {limit // 2}{'.5' if limit % 2 else ''}us"
    rows = pl.DataFrame(
        {"status": [status], "duration_ms": [None if micros is None else micros / 1000]},
        schema={"status": pl.UInt16, "duration_ms": pl.Float64},
    )
    answered = None if status is None else status < 500
    signs = {"<": -1, ">": 1, "=": 0}
    side = None if micros is None else (2 * micros > limit) - (2 * micros < limit)
    fast = None if side is None else (side != 0) if op == "!=" else side in [signs[c] for c in op]
    expected = False if answered is False or fast is False else None if answered is None or fast is None else True
    assert rows.select(expression(parse(text))).item() is expected
