"""Every format, fast path and slow: the same rows and the same rejections on samples that were damaged in every way."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import examples, seeds

from logstats.endpoints import Endpoints
from logstats.formats.detection import screen
from logstats.formats.detection.prefilter import EVENT, Prefilter
from logstats.formats.engines.json import JsonLines
from logstats.formats.engines.json_template import JsonTemplate
from logstats.formats.engines.scan import scan_lines
from logstats.formats.fields.columns import Batch, ReadOptions
from logstats.formats.reader import reader
from logstats.formats.registry import builtin
from logstats.formats.text import Text
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.kernels import library as kernels
from logstats.schema import COLUMNS

READING = ReadOptions(Endpoints(), wanted=frozenset(COLUMNS) - {"extra"})
FORMATS = [name for name, form in builtin().items() if not form.wraps]
WRAPPERS = [name for name, form in builtin().items() if form.wraps]
INSERTED = [
    '"',
    "\\",
    " ",
    "  ",
    "\t",
    "=",
    "|",
    ",",
    "{",
    "}",
    "[",
    "]",
    "-",
    "+",
    "%20",
    "é",
    "\x00",
    "\x1b[0m",
    "\u2028",
    "1e9",
    "null",
    ":",
]


def mutated(line: str, draw: random.Random) -> str:
    """Something put in, taken out, said twice, exchanged or cut off; at times several of these."""
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        place, end = sorted((draw.randrange(len(line) + 1), draw.randrange(len(line) + 1)))
        change = draw.randrange(6)
        if change == 0:
            line = line[:place] + draw.choice(INSERTED) + line[place:]
        elif change == 1:
            line = line[:place] + line[min(end, place + 8) :]
        elif change == 2:
            line = line[:end] + line[place:]
        elif change == 3:
            line = line[:place]
        elif change == 4:
            words = line.split(" ")
            draw.shuffle(words) if draw.random() < 0.2 else words.pop(draw.randrange(len(words)))
            line = " ".join(words)
        else:
            line = line[:place] + chr(draw.randrange(1, 0x250)) + line[place + 1 :]
    return line.replace("\n", " ").replace("\r", " ")


def damaged(name: str, draw: random.Random, number: int) -> list[str]:
    """Lines of a format, good ones and others, in an order that varies."""
    form = builtin()[name]
    samples = [line for sample in form.samples for line in sample.line.split("\n") if line]
    return [mutated(draw.choice(samples), draw) for _ in range(number)]


Lines = tuple[list[dict[str, Any]], list[dict[str, Any]], int, dict[str, list[int]]]


def seen(batch: Batch) -> Lines:
    """What became of some lines: rows, rejections, how many were left out, and odd values."""
    return (
        batch.rows.sort("line").to_dicts(),
        batch.rejected.sort("line").to_dicts(),
        batch.ignored,
        {name: sorted(odd) for name, odd in batch.invalid.items()},
    )


def encoded(lines: list[str]) -> Text:
    return Text.from_bytes(("\n".join(lines) + "\n").encode())


def fast(name: str, lines: list[str]) -> Lines:
    """What the fast path makes of some lines."""
    ready, text = reader(builtin()[name], READING), encoded(lines)
    return seen(ready.convert(ready.tokenise(text), text))


def slow(name: str, lines: list[str]) -> Lines:
    """What the reference path makes of them; directives (W3C) have none of their own."""
    ready, text = reader(builtin()[name], READING), encoded(lines)
    tokens = ready.tokenise(text)
    if builtin()[name].engine != "w3c":
        tokens = scan_lines(enumerate(text.lines.to_list()), ready.tokenise.scan, tokens.fields.columns[1:])
    return seen(ready.convert(tokens, text))


@pytest.mark.parametrize("seed", seeds(1))
@pytest.mark.parametrize("name", FORMATS)
def test_paths_agree(name: str, seed: int) -> None:
    """The fast path, the reference path, and the fast path without the kernels. `scripts/fuzz.py` does it for hours."""
    lines = damaged(name, random.Random(f"paths {name} {seed}"), 120)
    found = fast(name, lines)
    rows, rejected, ignored, _ = found
    assert len(rows) + len(rejected) + ignored == len(lines)
    assert slow(name, lines) == found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "AVAILABLE", False)
        assert fast(name, lines) == found


@pytest.mark.parametrize("seed", seeds(1))
@pytest.mark.parametrize("name", FORMATS)
def test_a_screen_gives_up_no_line_that_is_read(name: str, seed: int) -> None:
    """Lines of this format and of others: what is read in earnest is worth as much as it counts."""
    draw = random.Random(f"screen {name} {seed}")
    lines = [*damaged(name, draw, 180), *(line for other in FORMATS for line in damaged(other, draw, 2))]
    lines = [line for line in lines if not line.startswith("#")]  # what W3C directives mean, no line says alone
    check_prefilter(name, lines)


def check_prefilter(name: str, lines: list[str]) -> None:
    """What a format reads in earnest is worth as much as it counts."""
    prefilter = Prefilter(builtin()[name])
    text = Text.from_bytes("\n".join(lines).encode())  # which leaves out NULs that a line begins with
    rows = prefilter.reader.fitting(text).rows
    for row in rows.to_dicts():
        counts = 0.0
        if prefilter.reader.events and row["kind"] == "event":
            counts = EVENT
        elif row["status"] is not None or (row["method"] is not None and row["timestamp"] is not None):
            counts = 1.0
        line = text.lines[row["line"]]
        assert prefilter(line).worth >= counts, line
        assert prefilter.screen.passes(screen.Lines([line])), line


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_keep_every_line(name: str, seed: int) -> None:
    lines = damaged(name, random.Random(f"wrappers {name} {seed}"), 60)
    text = Text.from_bytes(("\n".join(lines) + "\n").encode())
    inside = Wrapper(builtin()[name])(text)
    assert len(inside) == len(text) == inside.lines.len()
    assert inside.envelope is None or inside.envelope.height == len(text)
    assert bytes(inside.data).decode().split("\n") == [*inside.lines.to_list(), ""]


VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text(max_size=6)
    | st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
)
TREE = st.recursive(
    VALUE,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("status", "request", "method", "user", "level", "ip", "time", "x", "duration_ms", "msg", "path"),
        *("upstream_response_time", "request_length"),
    ]
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.dictionaries(KEYS, TREE, max_size=5),
    st.lists(st.dictionaries(KEYS, VALUE, max_size=5), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_json_templates_say_what_the_objects_say(tree: Any, others: list[Any], ascii_only: bool, compact: bool) -> None:
    separators = (",", ":") if compact else (", ", ": ")
    values = [tree, tree, *others, tree]
    lines = [json.dumps(value, ensure_ascii=ascii_only, separators=separators) for value in values]
    assert fast("json", lines) == slow("json", lines)


def test_a_template_is_not_made_of_everything() -> None:
    for line in (
        "",
        "{}",
        "[]",
        "5",
        '{"a":1',
        '{"a":1}}',
        '{"a":"\\n"}',
        '{"a":1,"a":2}',
        '{"a":1} x',
        '{"a" 1}',
        "nul",
    ):
        template = JsonTemplate.from_line(line)
        assert template is None, line
    many = json.dumps({f"k{i}": i for i in range(5_000)})
    long = json.dumps({"k" * 9_000: 1})
    assert JsonTemplate.from_line(many) is None
    assert JsonTemplate.from_line(long) is None
    found = JsonTemplate.from_line('{"a":"x","b":{"c":[1,"y"]}}')
    assert found is not None
    assert [leaf.path for leaf in found.leaves] == [("a",), ("b", "c", 0), ("b", "c", 1)]


def test_lines_with_short_times_are_read_by_their_template() -> None:
    """Numbers below 1 may be spelled in several ways, but what is read as a number is not a text that must agree."""
    logged = {"time": 1737072000.5, "method": "GET", "path": "/a", "status": 200, "request_time": 0.25}
    line = json.dumps(logged | {"upstream_response_time": 0.125, "request_length": 0.5})
    template = JsonTemplate.from_line(line)
    form = builtin()["json"]
    engine = JsonLines(form.fields, list(form.fields))
    text = Text.from_bytes(f"{line}\n{line.replace('0.125', '0.0')}\n".encode())
    read = engine._learn(line)
    assert template is not None and read is not None and read.columns(text).height == 2


HOSTILE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
sys.path.insert(0, {tests!r})
from logstats.formats.registry import builtin
from logstats.formats.detection.prefilter import EVENT, Prefilter
from logstats.formats.text import Text
from logstats.formats.wrappers.wrapper import Wrapper
from test_paths_agree import READING, hostile
from logstats.formats.reader import reader
for name in sys.argv[1:]:
    form = builtin()[name]
    lines = list(hostile(form, 1 << 13))
    text = Text.from_bytes("\\n".join(lines).encode())
    if form.wraps:
        wrapper = Wrapper(form)
        wrapper(text)
        engine = wrapper.tokenise
    else:
        ready = reader(form, READING)
        ready(text)
        engine = ready.tokenise
    for line in lines:
        try:
            engine.scan(line)
        except Exception as error:
            assert type(error).__name__ == "Reject", (name, error)
        engine.stop(line)
"""


def hostile(form: Any, size: int) -> Any:
    """Long lines that make a pattern which backtracks do so: each sample with something in it very often, at four
    places, of which each of two samples has two."""
    for number, sample in enumerate(form.samples[:2]):
        line = sample.line.split("\n")[-1]
        places = (0, len(line) // 3, len(line) * 2 // 3, len(line))
        for piece in (
            " ",
            "a",
            "0",
            '"',
            "\\",
            '\\"',
            "=",
            "a=b ",
            ".",
            "-",
            "[",
            "/",
            "200 ",
            "\t",
            "{",
            '{"a":',
            "1.",
            ": ",
            "] ",
        ):
            run = piece * (size // len(piece))
            for place in places if len(form.samples) == 1 else places[number::2]:
                yield line[:place] + run + line[place:]
        yield line * (size // len(line))


@pytest.mark.parametrize("part", range(2))
def test_no_line_takes_more_than_linear_time(part: int) -> None:
    """Lines of 8 KiB, 150 for each format, in a process that the system ends if some take quadratic time."""
    names = list(builtin())[part::2]
    code = HOSTILE.format(tests=str(__file__).rsplit("/", 1)[0])
    subprocess.run([sys.executable, "-c", code, *names], check=True)
