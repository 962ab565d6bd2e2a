"""What a file of the rollup `endpoints` says of its own rows: what they come to for each endpoint, all hours together.

A report over a month adds up hours. Nearly always it wants all hours of a file, and has eight times as many rows to
read as it would have of days. So a file with few endpoints says in its metadata, as `KEY`, what `summed` makes of its
rows. Whoever does not know the key loses nothing by it: it can always be made of the rows. Its bytes are under the
digest of the file, like the rows.

The text is base64 of what zlib makes of one line of JSON, and of the columns one after the other. The line has the
`names` (method and endpoint) that the first column numbers, and the type of each column, the narrowest that holds it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from logstats import durations
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.kernels.interning import Dictionary
from logstats.summaries.tables import Shape
from logstats.summaries.traffic import MINUTE_US

if TYPE_CHECKING:
    import pyarrow as pa

KEY: Final = "logstats.endpoints"
SHAPE: Final = Shape(
    {"method": "String", "endpoint": "String", "status_class": "UInt8", "bucket": "Int32"},
    {"requests": "Int64", "timed": "Int64", "bytes": "Int128", "us": "Int128", "rest_ns": "Int64"},
    {"ns_min": "Int64", "first": "Int64"},
    {"ns_max": "Int64"},
)
MOST_ROWS: Final = 30_000  # of what is said; a file with more says nothing
_AT_ONCE: Final = 100_000  # rows that are added up at a time
_MOST: Final = 16 << 20  # bytes that a text can become
_NUMBERS: Final = [name for name in SHAPE.columns if name not in ("method", "endpoint")]
_NULLS: Final = {"bucket": -(2**31), "ns_min": -1, "ns_max": -1}  # no bucket, and no duration, is one of these
_KINDS: Final = ("<i1", "<i2", "<i4", "<i8")


def summed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `endpoints` → (method, endpoint, status_class, bucket, requests, timed, bytes, us, rest_ns, ns_min,
    first, ns_max), `first` in minutes since 1970; a row for each endpoint, class and bucket, in no order."""
    kinds = SHAPE.schema
    sums = {name: pl.col(name).cast(kinds[name]) for name in SHAPE.sums if name != "rest_ns"}
    first = pl.col("hour").to_physical().floordiv(MINUTE_US)
    ends = durations.from_stored(("ns_min", "ns_max"))
    return SHAPE.united(
        rows.select(*SHAPE.keys, **sums, **ends, rest_ns=pl.col("rest_ns").fill_null(0), first=first).select(*kinds)
    )


class Summing:
    """Adds up rows while they are written."""

    KEY = KEY

    def __init__(self) -> None:
        self._held: list[pl.DataFrame] = []
        self._pending = 0
        self._too_many = False

    def add(self, rows: pa.Table) -> None:
        """Add rows of `endpoints`."""
        if self._too_many:
            return
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        self._held.append(summed(frame))
        self._pending += frame.height
        if self._pending > _AT_ONCE or self._held[-1].height > MOST_ROWS:
            self._merge()

    def _merge(self) -> None:
        self._too_many = any(table.height > MOST_ROWS for table in self._held)
        if self._held and not self._too_many:
            self._held, self._pending = [SHAPE.merge(self._held)], 0
            self._too_many = self._held[0].height > MOST_ROWS
        if self._too_many:
            self._held.clear()

    def text(self) -> str | None:
        """What the file says of itself; None if it says nothing."""
        self._merge()
        return packed(self._held[0]) if self._held and not self._too_many else None


def packed(table: pl.DataFrame) -> str | None:
    """The text for a table that `summed` made; None if a number in it has more than 64 bits."""
    names = pl.concat_str(pl.col("method").fill_null(""), pl.lit("\0"), pl.col("endpoint").fill_null("\0"))
    known = Dictionary()
    columns = {"name": known.numbers(table.select(names).to_series()).astype(np.int64) - 1}
    for name in _NUMBERS:
        column = table[name].cast(pl.Int64, strict=False)
        if column.null_count() > table[name].null_count():
            return None
        columns[name] = column.fill_null(_NULLS.get(name, 0)).to_numpy()
    kinds = {name: next(kind for kind in _KINDS if _fits(column, kind)) for name, column in columns.items()}
    said = {"names": [_named(text) for text in known.texts().to_list()], "kinds": kinds}
    data = b"".join(column.astype(kinds[name]).tobytes() for name, column in columns.items())
    return base64.b64encode(zlib.compress(json.dumps(said).encode() + b"\n" + data)).decode()


def _named(text: str) -> list[str | None]:
    method, _, endpoint = text.partition("\0")
    return [method or None, None if endpoint == "\0" else endpoint]


def _fits(column: np.ndarray[Any, Any], kind: str) -> bool:
    limits = np.iinfo(kind)
    return not len(column) or bool(column.min() >= limits.min and column.max() <= limits.max)


def unpacked(text: str) -> pl.DataFrame:
    """The inverse of `packed`. Raises ValueError if it is nothing that `packed` makes."""
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(base64.b64decode(text, validate=True), _MOST)
        head, _, rest = data.partition(b"\n")
        said = json.loads(head)
        names, kinds = said["names"], {name: said["kinds"][name] for name in ("name", *_NUMBERS)}
        methods, endpoints = ([name[place] for name in names] for place in (0, 1))
        labels = [pl.Series(texts, dtype=pl.String) for texts in (methods, endpoints)]
    except (binascii.Error, zlib.error, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not reader.eof or not {*kinds.values()} <= {*_KINDS}:
        raise ValueError("it is cut off")
    rows, over = divmod(len(rest), sum(np.dtype(kind).itemsize for kind in kinds.values()))
    if over or not rows:
        raise ValueError("it is cut off")
    columns, place = {}, 0
    for name, kind in kinds.items():
        columns[name] = np.frombuffer(rest, kind, rows, place).astype(np.int64)
        place += columns[name].size * np.dtype(kind).itemsize
    of = columns.pop("name")
    if of.min() < 0 or of.max() >= len(names):
        raise ValueError("it has more endpoints than names")
    counts = [columns[name] for name in ("status_class", "requests", "timed", "bytes")]
    if min(int(column.min()) for column in counts) < 0 or int(columns["status_class"].max()) > 9:
        raise ValueError("no endpoint has such figures")
    texts = [label[as_numbers(of)].alias(name) for name, label in zip(("method", "endpoint"), labels, strict=True)]
    numbers = [
        as_numbers(column, column != _NULLS[name] if name in _NULLS else None).alias(name)
        for name, column in columns.items()
    ]
    return pl.DataFrame([*texts, *numbers]).cast(SHAPE.schema).select(*SHAPE.schema)  # type: ignore[arg-type]
