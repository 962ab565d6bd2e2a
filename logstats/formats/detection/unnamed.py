"""Whether numbers behave like durations, where nothing but their place in the line says that they might be.

`combined` is often followed by a number that has neither a name nor a unit. It may be the request time, and it may be
a port, a size, a serial number of the connection, a status, a process. What is asked of the numbers of a sample is
what requests do: they take different times, in no order, and not as many microseconds as they have bytes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl

FEW: Final = 8  # numbers below which their order, their range and how they go with other columns say nothing
CONSTANT: Final = 5  # lines that differ in something else: a number that does not differ measures nothing
_IS_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|-")
_DIGITS: Final = tuple("0123456789")

_WEB_PORTS: Final = (80, 443, 8080, 8443)
_PORTS: Final = frozenset(
    {*_WEB_PORTS, 21, 22, 25, 53, 81, 82, 110, 143, 444, 465, 587, 993, 995, 1080, 1443, 3000, 3001, 3128, 4443, 5000}
    | {5001, 5601, 6443, 7443, 8000, 8001, 8008, 8081, 8082, 8083, 8088, 8090, 8444, 8888, 9000, 9090, 9200, 9443}
    | {10443, 15672, 18080, 18443}
)
_DYNAMIC: Final = 32_768  # where Linux begins to choose ports for clients (ip(7), ip_local_port_range)
_HIGHEST: Final = 65_535
_LONGEST: Final = 86_400.0  # seconds
_SLOW: Final = 60  # seconds: hardly any request takes longer
_SECONDS: Final = 3  # decimal places with which servers write seconds: 0.012 (nginx), 0.012345 (gunicorn)
_HEADERS: Final = 8 << 10  # bytes that a request's or a response's headers take at the most

_ADDRESSES_LAST: Final = r'"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:]+)(?:, ?[0-9a-f.:]+)*"$'
_LISTENERS: Final = 3  # below which their bytes say nothing of the time they took
_SHOWN: Final = 3  # examples

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Some values of a column without a name, and what they look like if they are numbers other than durations."""

    examples: tuple[str, ...]
    like: str
    streams: bool = False  # they are seconds for which clients listened, as many bytes in each
    fractions: bool = False  # a number without a fraction is something else

    def kept_out(self, format: str, but_for: str = "") -> str:
        """What to say to the user where the column is not read, `but_for` something in it."""
        shown = ", ".join(self.examples)
        if self.like:
            said = f"the numbers behind {format} ({shown}, …) look like {self.like}, not like durations: they are"
        else:
            said = f"what stands behind {format} ({shown}, …) has no name: it is"
        forwarded = any(re.search(_ADDRESSES_LAST, example) for example in self.examples)
        also = ["the addresses with --trust-forwarded"] if forwarded else []
        but = ", but for " + " and ".join([*([but_for] if but_for else []), *also]) if but_for or also else ""
        return f"{said} kept out{but}; --log-format '…' names every column"


def unnamed(
    texts: Sequence[str | None], places: Sequence[int], rows: Callable[[], pl.DataFrame], lines: Sequence[str]
) -> Unnamed:
    """Look at a column without a name; `texts` and the others as in `why_no_duration`."""
    some = tuple(dict.fromkeys(text for text in texts if text is not None and text != "-"))[:_SHOWN]
    if not all(text is None or _IS_NUMBER.fullmatch(text) for text in texts):
        return Unnamed(some, "")
    like, streams = why_no_duration(texts, places, rows, lines), _streams(texts, rows)
    return Unnamed(some, like, streams, _fractions([text for text in texts if text is not None and text != "-"]))


def _fractions(texts: Sequence[str]) -> bool:
    """Whether these numbers have a fraction, and those that have none are something else: all fractions are as long as
    servers write them, and they would be seconds that hardly any request takes."""
    places = {len(text.partition(".")[2]) for text in texts}
    whole = [int(text) for text in texts if "." not in text]
    if len(places - {0}) != 1 or max(places) < _SECONDS:
        return bool(places) and not whole
    return sum(number > _SLOW for number in whole) >= len(whole) / 2


def why_no_duration(
    texts: Sequence[str | None], places: Sequence[int], rows: Callable[[], pl.DataFrame], lines: Sequence[str]
) -> str:
    """What the numbers look like if they are no durations, such as `ports`; nothing if they may be durations.

    `texts` are the numbers, `places` those of their lines among `lines`, and `rows` gives what else these hold
    (`status`, `bytes`, `client_ip`, the parts of the request). Lines that are the same count once.
    """
    first: dict[str, tuple[int, int]] = {}  # of a whole line: its number, and its place among the texts
    for place, number in enumerate(places):
        first.setdefault(lines[number], (number, place))
    asked = [place for _, place in sorted(first.values()) if (texts[place] or "-")[:1] in _DIGITS]
    written = [texts[place] or "" for place in asked]
    if not written:
        return ""
    values: Numbers = np.array([float(text) for text in written])
    decimals = [len(text.partition(".")[2]) for text in written]
    if any(decimals):
        return _odd_fractions(values, decimals)
    if any(text[0] == "0" and text[1:2] in _DIGITS for text in written if len(text) > 1):
        return "numbers with leading zeros"
    table = rows()[asked]
    for question in (_ports, _constant, _statuses, _responses, _requests, _counter, _groups, _implausible):
        if found := question(values, table):
            return found
    return ""


def _streams(texts: Sequence[str | None], rows: Callable[[], pl.DataFrame]) -> bool:
    """Whether as much is sent in each second, whoever listens and for how long: 16 kbit/s to 1 Mbit/s of one path."""
    if sum(text is not None and text.isdecimal() for text in texts) < _LISTENERS:
        return False
    whole = pl.Series(texts, dtype=pl.String).cast(pl.Int64, strict=False)
    table = rows().select("method", "path", "bytes").with_columns(whole.alias("_seconds")).drop_nulls()
    table = table.filter(pl.col("method") == "GET")
    table = table.filter((pl.col("_seconds") >= 2) & (pl.col("bytes") > 0))
    if table.height < _LISTENERS or table["_seconds"].max() == table["_seconds"].min():
        return False
    table = table.with_columns(rate=pl.col("bytes") / pl.col("_seconds"))
    spans = table.group_by("path").agg(
        pl.col("rate").std() / pl.col("rate").mean(), pl.len(), pl.col("bytes").n_unique()
    )
    steady = spans.filter((pl.col("len") > 1) & (pl.col("bytes") > 1) & (pl.col("rate") < 0.3))["len"].sum()
    plausible = table["rate"].is_between(2_000, 125_000).sum()
    return bool(steady >= 0.8 * table.height and plausible >= 0.9 * table.height)


def _odd_fractions(values: Numbers, decimals: Sequence[int]) -> str:
    places = [number for value, number in zip(values, decimals, strict=True) if value > 0]
    if not places:
        return ""
    if (values > _LONGEST).mean() > 0.5:
        return "points in time or numbers of something"
    if max(places) < _SECONDS and len(values) >= CONSTANT and len({*values.tolist()}) == 1:
        return "a constant"
    if max(places) < _SECONDS and len(values) >= CONSTANT and values.min() >= 1 and values.max() < 100:
        return "ratios"
    return ""


def _ports(values: Numbers, _: pl.DataFrame) -> str:
    """Ports of servers are few and known; those that clients send from come from a range of their own."""
    known = {int(value) for value in np.unique(values)}
    if known <= _PORTS and not known.isdisjoint(_WEB_PORTS):
        return "ports"
    if values.min() < 1024 or values.max() > _HIGHEST:
        return ""
    dynamic = float((values >= _DYNAMIC).mean())
    if len(values) < FEW:
        return "ports" if dynamic == 1 else ""
    spread_over_all = len(values) >= 20 and values.max() >= 60_000 and dynamic >= 0.4
    return "ports" if (dynamic >= 0.9 and len(known) > 2) or spread_over_all else ""


def _constant(values: Numbers, _: pl.DataFrame) -> str:
    return "a constant" if len(values) >= CONSTANT and values.min() == values.max() else ""


def _statuses(values: Numbers, table: pl.DataFrame) -> str:
    if len(values) < CONSTANT or values.min() < 100 or values.max() > 599:
        return ""
    return "status codes" if float((values == _column(table, "status")).mean()) >= 0.8 else ""


def _responses(values: Numbers, table: pl.DataFrame) -> str:
    """With their headers, responses are somewhat larger than their bodies."""
    size = _column(table, "bytes")
    if len(values) < CONSTANT or len(np.unique(size)) < 3:
        return ""
    over = values - size
    near = float(((over >= 0) & (over < _HEADERS)).mean()) >= 0.95 and over.std() < size.std() / 4
    return "sizes of responses" if near or float((over == 0).mean()) >= 0.8 else ""


def _requests(values: Numbers, table: pl.DataFrame) -> str:
    """A request is longer than what the line shows of it, the more so the longer that is."""
    shown = [table[name].str.len_bytes().fill_null(0) for name in _OF_REQUESTS if name in table.columns]
    length: Numbers = np.sum([one.to_numpy() for one in shown], axis=0).astype(np.float64)
    if len(values) < FEW or len(np.unique(values)) < 3 or len(np.unique(length)) < 3:
        return ""
    over = values - length
    if over.min() <= 0 or over.max() > _HEADERS:
        return ""
    return "sizes of requests" if np.corrcoef(values, length)[0, 1] >= 0.8 else ""


_OF_REQUESTS: Final = ("method", "path", "query", "protocol", "referer", "user_agent")


def _counter(values: Numbers, table: pl.DataFrame) -> str:
    """What grows from line to line, or from request to request of a client."""
    steps = np.diff(values)
    if len(values) >= CONSTANT and (steps == steps[0]).all():
        return "a counter"
    if len(values) < FEW:
        return ""
    if (steps >= 0).all() and len(np.unique(values)) > len(values) / 4:
        return "a counter"
    if len(values) >= 2 * FEW and float((steps >= 0).mean()) >= 0.7:
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        if np.corrcoef(ranks, np.arange(len(values)))[0, 1] >= 0.95:
            return "a counter"
    before: defaultdict[str, float] = defaultdict(lambda: np.nan)
    by_one = asked = 0
    for client, value in zip(table["client_ip"].fill_null(""), values.tolist(), strict=True):
        if not np.isnan(before[client]):
            asked += 1
            by_one += value == before[client] + 1
        before[client] = value
    return "a counter" if asked >= FEW and by_one >= 0.8 * asked else ""


def _groups(values: Numbers, _: pl.DataFrame) -> str:
    """What is measured in so many small units hardly ever is the same twice, or nearly."""
    few = len(np.unique(values)) <= len(values) / 5 and len(values) >= 20
    close = values.max() - values.min() < values.max() / 200 and len(values) >= 3
    return "numbers of processes or the like" if (few or close) and values.min() >= 1000 else ""


def _implausible(values: Numbers, _: pl.DataFrame) -> str:
    return "numbers of something" if float((values > _LONGEST * 1e6).mean()) > 0.5 else ""


def _column(table: pl.DataFrame, name: str) -> Numbers:
    """A column of numbers; what is missing is equal to nothing."""
    return table[name].cast(pl.Float64).fill_null(-1e12).to_numpy()
