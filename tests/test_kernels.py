"""The functions in C, held against what they stand for: `re`, `dict`, `str`, `decimal`, Polars, and the definitions in
Python of what a request, a path and a time are."""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import re
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import logstats
from logstats.endpoints import template
from logstats.formats.engines.program import Code, Program, Step
from logstats.formats.fields.request_line import _absolute, _unusual
from logstats.formats.fields.shapes import CLIENT, HOST, USER, WORD, Shape
from logstats.formats.text import Text
from logstats.kernels import library as kernels
from logstats.kernels.columns import Texts, as_numbers, as_texts
from logstats.kernels.interning import Dictionary, once
from logstats.sketches import hll

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_logs"
LINES = st.lists(st.text(st.sampled_from('ab "[]\\:é€\x01#'), max_size=60), min_size=1, max_size=12)


def text_of(lines: list[str]) -> Text:
    return Text("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(kernels, "AVAILABLE", False)


def test_they_are_compiled() -> None:
    assert kernels.AVAILABLE, "scripts/build_kernels.py did not compile them: what does pip install -v say?"


def test_a_report_without_them_is_the_same(without_kernels: Callable[[], None]) -> None:
    logs = [path for path in sorted(SAMPLES.iterdir()) if path.suffix in (".log", ".jsonl", ".gz")]
    assert len(logs) > 3
    reports = [[json.loads(logstats.report(log).to_json()) for log in logs]]
    without_kernels()
    reports.append([json.loads(logstats.report(log).to_json()) for log in logs])
    for report in (*reports[0], *reports[1]):
        del report["generated_at"]
    assert reports[0] == reports[1]


def test_the_program_says_that_it_has_none(tmp_path: Path) -> None:
    code = (
        "import sys; from logstats.kernels import library; library.AVAILABLE = False;"
        f"sys.argv = ['logstats', 'report', {str(SAMPLES / 'app.log')!r}];"
        "from logstats.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the part of logstats that is compiled is" in done.stderr


# -- lines


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_lines_end_at_newlines(lines: list[str]) -> None:
    text = text_of(lines)
    assert text.ends.tolist() == [m.start() for m in re.finditer(b"\n", bytes(text.data))]
    assert text.lines.to_list() == lines


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 255 * 16 - 1, 255 * 16, 255 * 16 + 1, 100_000])
def test_lines_of_any_number_of_bytes(size: int) -> None:
    data = (b"\n\nab\ncdefghijklmnop\n" * (size // 20 + 1))[:size]
    assert kernels.line_ends(data).tolist() == [place for place, byte in enumerate(data) if byte == 10]


def test_places_outside_of_the_data_are_refused() -> None:
    good, bad = np.array([0]), np.array([4])
    for starts, ends in ((good, bad), (bad, bad), (np.array([-1]), good)):
        with pytest.raises(IndexError):
            kernels.texts(b"abc", starts, ends)


# What programs are for: patterns, as regular expressions say them. `(?P<name>…)` is a variable.
PROGRAMS = {
    r"(?P<a>.*?) (?P<b>.*)": [Step(Code.ANY), Step(Code.UNTIL, b" ", "a"), Step(Code.REST, name="b")],
    r"a(?P<a>.*?)\] \[(?P<b>.*)b": [
        *(Step(Code.ANY), Step(Code.ENDS, b"b"), Step(Code.LITERAL, b"a")),
        *(Step(Code.UNTIL, b"] [", "a"), Step(Code.REST, name="b")),
    ],
    r'(?P<a>[^"]*?)"(?P<b>[^"]*)(?<!\\)"(?P<c>[^"]*)': [
        *(Step(Code.SECTION), Step(Code.REST, name="a"), Step(Code.CLOSE)),
        *(Step(Code.SECTION), Step(Code.REST, name="b"), Step(Code.ESCAPED)),
        *(Step(Code.LAST), Step(Code.REST, name="c")),
    ],
    r"(?P<a>[^: ]+):(?P<b>[^\[: ]*)(?P<c>(?::.*)?)": [
        *(Step(Code.ANY), Step(Code.UNTIL, b":", "a", b" ", 1), Step(Code.UPTO, b":", "b", b"[ ")),
        Step(Code.REST, name="c"),
    ],
    r"(?P<a>(?![\x00-\x20#]).+)": [Step(Code.PLAIN), Step(Code.ANY), Step(Code.REST, name="a", least=1)],
    r'"(?P<a>[^"\\\x00-\x1f]*)"': [
        *(Step(Code.ANY), Step(Code.LITERAL, b'"'), Step(Code.TEXT, name="a"), Step(Code.LITERAL, b'"')),
    ],
}


@pytest.mark.parametrize("pattern", PROGRAMS)
@settings(max_examples=150, deadline=None)
@given(lines=LINES)
@example(lines=["ab] [b", "a] [] [bb", 'a"b"c', 'a"b\\"c', '""', "a:b", "a::", "é €", '"é€"', " a", "#", "\x01"])
@example(lines=["a" * 40 + " " + "b" * 40, "a" * 15 + " ", "a" * 16 + " ", '"' + "a" * 31 + '"', '"' + "a" * 32 + "\\"])
def test_programs_are_patterns(pattern: str, lines: list[str]) -> None:
    found = Program(PROGRAMS[pattern])(text_of(lines))
    matches = [(number, match) for number, line in enumerate(lines) if (match := re.fullmatch(pattern, line))]
    assert found["line"].to_list() == [number for number, _ in matches]
    assert found.drop("line").to_dicts() == [match.groupdict() for _, match in matches]


def test_both_sides_have_the_same_steps() -> None:
    source = (ROOT / "logstats" / "kernels" / "lines.c").read_text()
    (listed,) = re.findall(r"enum \{\n(.*?)\n\};", source, re.DOTALL)
    assert re.findall(r"^    ([A-Z]+),", listed, re.MULTILINE) == [code.name for code in Code]
    assert [code.value for code in Code] == list(range(len(Code)))


NUMBERS = st.one_of(
    st.integers(-(10**18), 10**18).map(str),
    st.floats(-1e6, 1e6).map(lambda f: f"{f:.3f}"),
    st.text(st.sampled_from("0123456789.-e é+"), max_size=20),
    st.sampled_from(
        ["true", "false", "null", "nul", "-", "-0", "0", "00", "0.50", "-0.5", ".5", "5.", "1e3", "+1", "1_0"]
    ),
)
BARE = r"-?[1-9][0-9]*(?:\.[0-9]+)?|-?0\.[0-9]+|0|true|false|null"
# A double holds fifteen digits, and whoever writes one again leaves out zeros at the end of a fraction.
SPELLED = r"0|-?[1-9][0-9]{0,14}|-?[1-9][0-9]{0,6}\.[0-9]{0,6}[1-9]|true|false|null"


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=12))
@example(["123456789012345", "1234567890123456", "1234567.1234567", "12345678.1", "1.10", "1234567890123456.5"])
def test_json_numbers_are_those_that_everybody_writes_so(texts: list[str]) -> None:
    lines = [f"[{text}]" for text in texts]
    for code, taken in (
        (Code.NUMBER, lambda t: re.fullmatch(BARE, t, re.ASCII)),
        (Code.SPELLED, lambda t: re.fullmatch(SPELLED, t, re.ASCII)),
        (Code.TIME, lambda t: re.fullmatch(BARE, t, re.ASCII) and not re.search(r"[0-9]{16}\.", t)),
    ):
        program = Program([Step(Code.ANY), Step(Code.LITERAL, b"["), Step(code, name="n"), Step(Code.LITERAL, b"]")])
        expected = ["" if text == "null" else text for text in texts if taken(text)]
        assert program(text_of(lines))["n"].to_list() == expected


@pytest.fixture(scope="module")
def edge() -> Iterator[Callable[[bytes], memoryview]]:
    """Puts data where the memory ends: whoever reads one byte more is killed."""
    pages = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert libc.mprotect(begin + 3 * mmap.PAGESIZE, mmap.PAGESIZE, 0) == 0

    def edge(data: bytes) -> memoryview:
        place = memoryview(pages)[3 * mmap.PAGESIZE - len(data) : 3 * mmap.PAGESIZE]
        place[:] = data
        return place

    yield edge
    assert libc.mprotect(begin + 3 * mmap.PAGESIZE, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) == 0


@settings(max_examples=300, deadline=None)
@given(lines=LINES, cut=st.integers(0, 80))
def test_nothing_behind_the_data_is_read(edge: Callable[[bytes], memoryview], lines: list[str], cut: int) -> None:
    data = bytes(text_of(lines).data)
    data = (data[: max(1, len(data) - cut)]).decode(errors="ignore").encode()
    if not data.endswith(b"\n"):
        data += b"\n"
    text = Text(edge(data))
    assert text.lines.to_list() == data.decode()[:-1].split("\n")
    for steps in PROGRAMS.values():
        assert Program(steps)(text).equals(Program(steps)(Text(data)))


# -- columns

TEXTS = st.lists(st.none() | st.text(max_size=20) | st.sampled_from(["", "a" * 12, "a" * 13, "ab" * 500]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(0, 10))
def test_columns_go_there_and_back(texts: list[str | None], start: int) -> None:
    column = pl.Series(texts, dtype=pl.String).slice(start)
    wanted = [text is not None and len(text) % 3 > 0 for text in texts[start:]]
    kept = Texts(column).where(np.array(wanted, np.bool_))
    assert kept.to_list() == [text if want else None for text, want in zip(texts[start:], wanted, strict=True)]


def test_numbers_go_there_and_back() -> None:
    values = np.arange(20, dtype=np.uint16)
    assert as_numbers(values).to_list() == list(range(20))
    assert as_numbers(values[::2], values[::2] % 3 == 0).to_list() == [
        v if v % 3 == 0 else None for v in range(0, 20, 2)
    ]
    assert as_numbers(values).dtype == pl.UInt16
    assert as_texts(np.zeros((0, 2), np.uint64), []).to_list() == []


def test_a_shared_column_keeps_its_memory_as_long_as_it_lives() -> None:
    values = np.arange(5_000, dtype=np.int64)
    alive = weakref.ref(values)
    column = as_numbers(values)
    rest = column[4_990:]
    del values, column
    gc.collect()
    assert alive() is not None
    assert rest.to_list() == list(range(4_990, 5_000))
    del rest
    gc.collect()
    assert alive() is None


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.booleans())
def test_a_dictionary_numbers_texts_as_they_come(chunks: list[list[str | None]], compiled: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(kernels, "AVAILABLE", False)
        known = Dictionary()
        reference: dict[str | None, int] = {None: 0}
        for chunk in chunks:
            before = len(known)
            numbers = known.numbers(pl.Series(chunk, dtype=pl.String))
            assert numbers.tolist() == [reference.setdefault(text, len(reference)) for text in chunk]
            assert known.column(numbers).to_list() == chunk
            assert known.texts(before).to_list() == [*reference][before + 1 :]
            assert len(known) == len(reference) - 1


def test_a_dictionary_grows() -> None:
    known = Dictionary()
    texts = [f"/a/path/that/is/longer/{n % 30_000}" for n in range(100_000)] + ["x" * 3_000_000]
    for start in range(0, len(texts), 7_000):
        some = texts[start : start + 7_000]
        assert known.column(known.numbers(pl.Series(some))).to_list() == some
    assert len(known) == 30_001
    assert known.texts().to_list()[:3] == texts[:3]


def test_each_text_lies_in_memory_once() -> None:
    texts = pl.Series("t", [f"/a/path/that/is/long/{n % 7}" for n in range(100)] + [None])
    assert once(texts).equals(texts, null_equal=True)
    assert len(kernels.group_texts(texts)[1]) > 8
    assert len(kernels.group_texts(once(texts))[1]) == 8


ROWS = st.lists(st.tuples(st.integers(0, 15) | st.integers(0, 16383), st.integers(0, 63)), max_size=60)


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5), st.booleans())
def test_registers_are_counted_by_their_highest_rank(sketches: list[list[tuple[int, int]]], compiled: bool) -> None:
    expected = []
    for rows in sketches:
        held = [0] * hll.REGISTERS
        for register, rank in rows:
            held[register] = max(held[register], rank)
        expected.append([held.count(rank) for rank in range(64)])
    packed = np.array([register << 6 | rank for rows in sketches for register, rank in rows], np.uint32)
    ends = np.cumsum([len(rows) for rows in sketches])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "AVAILABLE", compiled)
        assert hll._ranks_of_rows(packed, ends).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=80))
def test_groups_are_numbered_as_they_come(keys: list[int]) -> None:
    order = list(dict.fromkeys(keys))
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "AVAILABLE", compiled)
            groups, firsts = kernels.group(np.array(keys, np.uint64))
            assert groups.tolist() == [order.index(key) for key in keys]
            assert firsts.tolist() == [keys.index(key) for key in order]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)), max_size=80))
def test_values_of_groups_become_one(rows: list[tuple[int, int]]) -> None:
    """Sums are those of whole numbers of any size, modulo 2^64."""
    groups = np.array([group for group, _ in rows], np.uint32)
    values = np.array([value for _, value in rows], np.int64)
    of = [[value for group, value in rows if group == number] for number in range(6)]
    expected = {
        kernels.SUM: [(sum(some) + 2**63) % 2**64 - 2**63 for some in of],
        kernels.LEAST: [min(some, default=0) for some in of],
        kernels.GREATEST: [max(some, default=0) for some in of],
    }
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "AVAILABLE", compiled)
            for how, wanted in expected.items():
                begin = [0 if how == kernels.SUM else some[0] if some else 0 for some in of]
                to = np.array(begin, np.int64)
                kernels.reduce(groups, values, how, to)
                assert to.tolist() == wanted


# -- what texts mean

FORMS = ("%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f", "%d/%b/%Y %H:%M:%S %#z")
TIMES = st.datetimes().flatmap(
    lambda t: st.sampled_from(
        [
            f"{t:%d/%b/%Y:%H:%M:%S} +0000",
            f"{t:%d/%b/%Y:%H:%M:%S} -0130",
            f"{t:%d/%b/%Y %H:%M:%S} +09:00",
            f"{t.isoformat()}Z",
            f"{t.isoformat()}+05:30",
            f"{t.isoformat(' ')}",
            f"{t.isoformat(timespec='milliseconds')}-0800",
        ]
    )
)
DAMAGE = st.tuples(st.integers(0, 40), st.sampled_from(["", "0", "9", " ", "-", ":", "Z", "é", "60", "32", "."]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TIMES, st.none() | DAMAGE), min_size=1, max_size=10), st.sampled_from(FORMS))
@example([("29/Feb/2024:23:59:59 +0000", None), ("29/Feb/2023:23:59:59 +0000", None)], FORMS[0])
@example([("2024-06-30T23:59:60Z", None), ("2024-06-30T24:00:00Z", None), ("0000-01-01T00:00:00Z", None)], FORMS[1])
@example([("2024-06-30T23:59:59.1234567Z", None), ("2024-06-30T23:59:59.123456Z", None)], FORMS[1])
@example([("29/feb/2024:23:59:59 +0000", None), ("9/Feb/2024:23:59:59 +0000", None)], FORMS[0])
def test_times_are_those_of_strptime(made: list[tuple[str, tuple[int, str] | None]], form: str) -> None:
    texts = [t if d is None else t[: d[0]] + d[1] + t[d[0] + 1 :] for t, d in made]
    texts = [again for text in texts for again in (text, text, None, text, "", text)]
    zoned = "z" in form
    column = pl.Series(texts, dtype=pl.String)
    micros, certain = kernels.times(column, form)
    kind = pl.Datetime("us", "UTC") if zoned else pl.Datetime("us")
    true = column.str.strptime(kind, form, strict=False).to_physical().to_list()
    for text, found, sure, want in zip(texts, micros.tolist(), certain.tolist(), true, strict=True):
        assert not sure or found == want, text
    if all(d is None for _, d in made) and not zoned:
        assert certain.tolist() == [want is not None for want in true]


def test_usual_times_are_certain() -> None:
    for text, form in (("17/Jan/2025:10:30:00 +0200", FORMS[0]), ("2025-01-17T10:30:00.123456Z", FORMS[1])):
        assert kernels.times(pl.Series([text, None, text]), form)[1].tolist() == [True, False, True]


REQUESTS = st.one_of(
    st.text(st.sampled_from("GETpost_-/ ?:.HTTP/12 é%\x16"), max_size=40),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["GET", "M-SEARCH", "get", "", "G3T", "A" * 32, "A" * 33, "_X", "-"]),
        st.sampled_from(["/", "/a?b=c", "/a b", "*", "http://h:1/p?q", "/x?u=http://a/", "h:443", "", "/é?é", "?"]),
        st.sampled_from(["HTTP/1.1", "HTTP/2.0", "HTTP/1.0", "HTTP/2", "HTTP/3.0", "HTTP/1.2", "RTSP/1.0", ""]),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | REQUESTS, min_size=1, max_size=12))
def test_requests_are_split_as_any_other(requests: list[str | None]) -> None:
    column = pl.Series(requests, dtype=pl.String)
    *parts, certain = kernels.request_lines(column)
    true = _unusual(column)
    for name, part in zip(("method", "target", "protocol"), parts, strict=True):
        assert part.to_list() == [v if sure else None for v, sure in zip(true[name], certain, strict=True)]
    path, query, certain = kernels.targets(column)
    true = _absolute(column)
    assert path.to_list() == [v if sure else None for v, sure in zip(true["path"], certain, strict=True)]
    assert query.to_list() == [v if sure else None for v, sure in zip(true["query"], certain, strict=True)]


def test_usual_requests_are_certain() -> None:
    column = pl.Series(["GET /a?b HTTP/1.1", "POST / HTTP/2.0", None, "-"])
    assert kernels.request_lines(column)[3].tolist() == [True, True, False, False]
    assert kernels.targets(pl.Series(["/a?b", "*", "http://h/"]))[2].tolist() == [True, True, False]


SEGMENTS = st.one_of(
    st.sampled_from(
        [
            *(
                "api",
                "users",
                "123",
                "-5",
                "--5",
                "5-",
                "1-2",
                "v2",
                "a@b.cc",
                "a%40b.cc",
                "%41",
                "{id}",
                "}",
                "é٣",
                "٣٣٣",
            ),
            *("7f3a9c1e", "deadbeef", "abcdefabcdefabcd", "abcdefabcdefabcd.js", "12345678", "1234567a", "A" * 20),
            *(
                "550e8400-e29b-41d4-a716-446655440000",
                "550e8400-e29b-41d4-a716-44665544000",
                "5" * 300,
                "-" + "5" * 256,
            ),
            *("2025-01-17", "10.0.0.1", "app.3f9c2b7a.js", "a-rather-long-slug-of-words", "0123456789abcdef" * 17, ""),
            *("00000000-0000-0000-0000-000000000000", "f" * 256, "f" * 257, "-" * 36),
        ]
    ),
    st.text(st.sampled_from("0123456789abcdefgXYZ-_.@%é"), max_size=40),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(SEGMENTS, max_size=5)), min_size=1, max_size=8))
def test_endpoints_are_those_of_the_definition(made: list[tuple[bool, list[str]]]) -> None:
    paths = ["/" * slash + "/".join(segments) for slash, segments in made]
    found, certain = kernels.templates(pl.Series([*paths, None]))
    assert found.to_list() == [template(p) if sure else None for p, sure in zip(paths, certain, strict=False)] + [None]


NAMES = st.text("azfTZ09._-%4é", max_size=12) | st.from_regex(
    r"[a-z]{1,3}[._-][a-zA-Z0-9]{6,9}\.[a-z]{2,3}", fullmatch=True
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=12))
@example(
    [
        "app.738.js",
        "T1",
        "1.js",
        "a.1234567.js",
        "z.1234567.js",
        "z.12345678a.js",
        "z.aB3defgh.js",
        "2025-01T1",
        "z%40a1.de",
    ]
)
def test_names_with_digits_are_names(names: list[str]) -> None:
    found, certain = kernels.templates(pl.Series(names))
    assert [a for a, sure in zip(found, certain, strict=True) if sure] == [
        template(name) for name, sure in zip(names, certain, strict=True) if sure
    ]


def test_usual_paths_are_certain() -> None:
    paths = ["/api/users/123", "/", "/a/550e8400-e29b-41d4-a716-446655440000/b", "/static/7f3a9c1e", "/x.css"]
    paths += ["/static/app.738.js", "/v2/report-2024.pdf", "/jquery-3.6.0.min.js"]
    assert kernels.templates(pl.Series(paths))[1].all()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | NUMBERS | st.sampled_from(["", "-", "007", "100", "999"]), max_size=12))
def test_numbers_are_what_they_say(texts: list[str | None]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    missing = [text in (None, "", "-") for text in texts]
    values, odd = kernels.integers(column, 5, 10**14)
    unsure = odd.tolist() or [False] * len(texts)
    for text, absent, value, other in zip(texts, missing, values, unsure, strict=True):
        good = re.fullmatch(r"0|[1-9][0-9]*", text or "", re.ASCII) and 5 <= int(text or "") <= 10**14
        assert (value, other) == ((None, False) if absent else (int(text or ""), False) if good else (None, True))


DURATIONS = st.tuples(NUMBERS, st.sampled_from(["", "", " "]), st.sampled_from(["", "s", "ms", "us", "µs", "ns", "m"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | DURATIONS.map("".join) | st.sampled_from(["", "-", "0.0000000005", "5.5ns"]), max_size=12))
def test_durations_are_what_they_say(texts: list[str | None]) -> None:
    """To the nanosecond, by decimal arithmetic, halves up; and what C is not sure of it does not read."""
    sizes = {"s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}
    column = pl.Series(texts, dtype=pl.String)
    for unit, power in (("s", 9), ("ms", 6), ("us", 3), ("ns", 0)):
        values, odd = kernels.durations(column, power, 10**16)
        unsure = odd.tolist() or [False] * len(texts)
        for text, value, other in zip(texts, values, unsure, strict=True):
            if text in (None, "", "-") or other:
                assert value is None
                continue
            assert text is not None
            match = re.fullmatch(r"([0-9.]+) ?(.*)", text)
            assert match is not None
            exact = Decimal(match[1]) * sizes[match[2] or unit]
            assert value == exact.to_integral_value(ROUND_HALF_UP) <= 10**16


def test_usual_numbers_are_certain() -> None:
    assert not kernels.integers(pl.Series(["200", "-", None, "404"]), 100, 999)[1].any()
    found, odd = kernels.durations(pl.Series(["0.125", "12", "123456.789012", "1.5ms", "24.3µs", None]), 9, 2**60)
    assert not odd.any()
    assert found.to_list() == [125_000_000, 12 * 10**9, 123_456_789_012_000, 1_500_000, 24_300, None]
    assert kernels.durations(pl.Series(["9999999999999.9"]), 9, 2**60)[1].all()


@settings(deadline=None)
@given(TEXTS)
def test_a_dash_and_nothing_are_missing(texts: list[str | None]) -> None:
    mixed = [value for text in texts for value in (text, "-")]
    found = kernels.present(pl.Series("t", mixed, dtype=pl.String))
    assert found.name == "t"
    assert found.to_list() == [None if text in ("", "-") else text for text in mixed]


def rows_like(text: str) -> pl.Series:
    """A column in which a text stands among others, as a slice, with nulls: wherever a kernel may go wrong."""
    return pl.Series([None, "x", text, None, text * 3, ""], dtype=pl.String)[1:]


@settings(deadline=None)
@given(st.text(max_size=300))
@example("a" * 31)
@example("a" * 32)
@example("a" * 54)  # with its header of two bytes, the longest that fits with its length in one block
@example("a" * 55)
@example("a" * 61)
@example("a" * 62)
@example("a" * 63)
@example("a" * 255)
@example("a" * 256)
@example("a" * 65_535)
@example("\U0001f600" * 16_384)
def test_registers_are_those_of_hashlib(text: str) -> None:
    column = rows_like(text)
    register, rank = kernels.registers(column)
    right_register, right_rank = hll.registers_of(column.drop_nulls())
    there = column.is_not_null()
    assert register.filter(there).equals(right_register)
    assert rank.filter(there).equals(right_rank)
    assert (register.dtype, rank.dtype) == (right_register.dtype, right_rank.dtype)


def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lacks any function, or whose functions are called otherwise, counts as not available."""
    assert (kernels._loaded() is not None) == kernels.AVAILABLE
    for functions in ("_COUNTING", "_FILLING"):
        with monkeypatch.context() as patched:
            patched.setattr(kernels, functions, (*getattr(kernels, functions), "added_since"))
            assert kernels._loaded() is None
    monkeypatch.setattr(kernels, "ABI", kernels.ABI + 1)
    assert kernels._loaded() is None


def test_every_function_in_c_is_looked_for() -> None:
    """What a library must have is what its sources define."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in kernels.LIBRARY.parent.glob("*.c"))
    defined = re.findall(r"^(int64_t|void) (\w+)\(", sources, re.MULTILINE)
    assert {name for kind, name in defined if kind == "int64_t"} == set(kernels._COUNTING)
    assert {name for kind, name in defined if kind == "void"} == set(kernels._FILLING)


ADDRESSES = st.lists(st.text("0123456789", max_size=4) | st.sampled_from(["a", ":", "", "é"]), max_size=6).map(".".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(ADDRESSES | st.from_regex(r"[0-9.]{6,17}", fullmatch=True), max_size=8), st.integers(0, 3))
@example(["1.2.3.4", "192.168.100.200", "255.255.255.2555", "1..2.3", ".1.2.3", "1.2.3.", "1.2.3.4.5", "1234.1.1.1"], 0)
def test_what_has_the_shape_of_an_address_for_certain_has_it(texts: list[str], start: int) -> None:
    states = kernels.shaped(pl.Series(texts, dtype=pl.String)[start:], CLIENT.table, kernels.ADDRESS)
    for number, text in enumerate(texts[start:]):
        certain = states is None or bool(states[number])
        fits = re.fullmatch(CLIENT.expression, text) is not None
        assert fits or not certain, text
        if re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", text):
            assert certain, text


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([CLIENT, USER, HOST, WORD]), TEXTS)
def test_shapes_are_their_expressions(shape: Shape, texts: list[str | None]) -> None:
    unfit = shape.unfit(pl.Series(texts, dtype=pl.String))
    found = [False] * len(texts) if unfit is None else unfit.to_list()
    assert found == [text is not None and re.fullmatch(shape.expression, text) is None for text in texts]
