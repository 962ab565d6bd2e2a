"""A pattern without the end of its last group matches the same lines, and tells where that group begins."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import examples

from logstats.formats import registry
from logstats.formats.engines.regex import _groups
from logstats.formats.engines.tails import HEAD, apart, without_rest
from logstats.formats.model import FOREIGN

PATTERNS = [
    registry.named("kv").pattern,
    registry.named("app").pattern,
    r"^(?P<a>\w+) (?P<rest>[a-z]=.*)$",
    r"^(?P<a>\w*)(?: (?P<rest>.*))?$",
    r"^(?:(?P<x>x+)|y(?P<rest>z.*)?)$",
    r"^(?:(?P<x>x )?(?:(?P<n>[0-9]+)|=|(?P<rest>[^ ]=.*)?))?$",
]
PIECES = st.sampled_from(
    [
        *("x", "y", "z", "a", " ", "=", "0", "7", "a=b", " z=", "[", "]", ":", '"', "-", "é", "{"),
        *("2025-01-17 10:30:00", "INFO", "GET", "/a", "200", "12ms", "message text", "k=v", "worker:1 - "),
    ]
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_a_shorter_pattern_takes_is_what_the_whole_one_takes(pattern: str) -> None:
    name = "rest" if "<rest>" in pattern else "fields"
    shorter = without_rest(pattern, name)
    assert shorter is not None

    @settings(max_examples=examples(400), deadline=None)
    @given(st.lists(PIECES, max_size=12).map("".join))
    def agree(line: str) -> None:
        whole, begins = re.fullmatch(pattern, line), re.match(shorter, line)
        assert (whole is None) == (begins is None)
        if whole is not None and begins is not None:
            found = begins.groupdict()
            start = len(found.pop(HEAD)) - len(found[name] or "")
            assert found | {name: None if found[name] is None else line[start:]} == whole.groupdict()

    agree()


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?P<a>\w+) (?P<rest>.*?)$",  # as few as it can
        r"^(?P<rest>a.*) b$",  # something follows
        r"^(?P<rest>a|b.*)$",  # an alternative that ends elsewhere
        r"^(?P<rest>a.*)|b$",
        r"(?P<rest>a.*)$",  # not from the begin
        r"^(?i)(?P<rest>a.*)$",
        r"^(?P<a>x)(?P<b>.*)$",  # another group
        r"^(?P<rest>a.*)+$",
    ],
)
def test_other_patterns_are_left_as_they_are(pattern: str) -> None:
    assert without_rest(pattern, "rest") is None


CHOICES = [
    *(registry.named(name).pattern for name in ("kv", "syslog", "syslog_local", "caddy_console")),
    without_rest(registry.named("kv").pattern, "fields") or "",
    rf"^(?P<a>x?)(?:(?P<{FOREIGN}>[xy](?:a|=)*)|(?P<b>x*)y?) ?$",  # with several ways to match
    rf"^(?P<a>[xyz]*?)(?:(?P<{FOREIGN}>y.*)$|(?P<b>.*))$",
]
TEXTS = PIECES | st.sampled_from(
    [
        "Jan 17 10:30:00",
        "host",
        "stdout",
        "app[1]: ",
        "debug: ",
        "2025/01/17 10:30:00.1",
        "\t",
        '{"request": {"size": 1}}',
    ]
)


@pytest.mark.parametrize("pattern", CHOICES)
def test_a_choice_that_few_lines_take_is_asked_apart(pattern: str) -> None:
    """What the groups take is what they take in the whole pattern."""
    assert apart(pattern, FOREIGN) is not None

    @settings(max_examples=examples(100), deadline=None)
    @given(st.lists(st.lists(TEXTS, max_size=8).map("".join), max_size=30))
    def agree(lines: list[str]) -> None:
        column = pl.Series(lines, dtype=pl.String)
        whole = column.to_frame("line").select(pl.col("line").str.extract_groups(pattern)).to_series().struct.unnest()
        found = _groups(column, pattern)
        assert found.select(whole.columns).equals(whole)

    agree()


@pytest.mark.parametrize(
    "pattern",
    [
        rf"^(?P<a>x)(?P<{FOREIGN}>y)|z$",  # no choice
        rf"^(?:x|(?P<{FOREIGN}>y))$",  # another one comes first
        rf"^(?:(?P<{FOREIGN}>y)z|x)$",  # something follows
        rf"^(?:(?P<{FOREIGN}>y)?|x)$",
        r"^(?:(?P<other>y)|x)$",
    ],
)
def test_other_choices_are_left_as_they_are(pattern: str) -> None:
    assert apart(pattern, FOREIGN) is None
