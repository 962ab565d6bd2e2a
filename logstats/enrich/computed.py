"""Columns that are computed from others, only where they are asked for: the names are `schema.COMPUTED` and the
families of names in `schema.FAMILIES`.

| column | value |
| --- | --- |
| `source` | the name of the file, or the label that `--label` gives it |
| `hour` | the hour of the day, 0 to 23, on the clock of `--tz` |
| `weekday` | `Mon` to `Sun` on that clock |
| `query:NAME` | the value of a parameter of the query, decoded; "" if it has none, null without the parameter |
| `browser`, `os`, `device`, `bot`, `bot_class` | what the user agent says: see `agents` |
| `bot_verified` | `genuine` or `false`, by the addresses that a bot's operator publishes: see `addresses` |
| `country`, `continent`, `city`, `asn`, `as_name` | where the client is, by databases: see `places` |
| `ip/N` | the network of the client: N bits of IPv4, twice as many of IPv6; `ip/N/M`: M bits of IPv6 |
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from functools import cached_property
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import unquote_to_bytes

from logstats import schema
from logstats.cache import BoundedCache
from logstats.dataclass import dataclass
from logstats.enrich import addresses, agents, places
from logstats.errors import UsageError
from logstats.frames import pl
from logstats.query_strings import parameter

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_OCTET: Final = "(0|[1-9][0-9]{0,2})"
_IPV4: Final = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"


def covers(files: str, name: str) -> bool:
    """Whether an argument that names a file, a glob or a folder is about the file of this name."""
    folder = files.removesuffix("/") + "/"
    return name == files or name.startswith(folder) or fnmatch.fnmatchcase(name, files)


Make = Callable[["pl.DataFrame"], "pl.Series"]


@dataclass
class Columns:
    """Computes columns of frames of the request schema. Threads may share it.

    `zone` is that of hours and days, `labels` are (label, the file, glob or folder that it is of), `verify_bots` the
    files with the addresses of bots, `geo` databases of places. A further column is a name in `schema.COMPUTED`, and
    its lines in `_column`.
    """

    zone: str = "UTC"
    labels: Sequence[tuple[str, str]] = ()
    verify_bots: Sequence[str] = ()
    geo: Sequence[str] = ()
    _known: dict[str, tuple[frozenset[str], Make]] = field(default_factory=dict, init=False, repr=False)

    def label(self, source: str) -> str:
        """The label of a source: the first that is given to it, or else its name."""
        return next((label for label, files in self.labels if covers(files, source)), source)

    def reads(self, names: Iterable[str]) -> frozenset[str]:
        """The columns of the request schema that have to be read for these columns. Raises UsageError."""
        read: set[str] = set()
        for name in names:
            if name != schema.LINE:
                read |= {name} if name in schema.COLUMNS else self._find(name)[0]
        return frozenset(read)

    def add(
        self, rows: pl.DataFrame, names: Iterable[str], source: str | None = None, first_line: int = 0
    ) -> pl.DataFrame:
        """The rows with those of some columns that are computed, and that they do not have yet.

        `source` is where all of them come from, `first_line` the number of the line that `line` counts from.
        """
        missing = [name for name in names if name not in rows.columns and name not in schema.COLUMNS]
        made: list[pl.Series | pl.Expr] = []
        for name in missing:
            if name == "source":
                made.append(pl.Series(name, [source], pl.String).new_from_index(0, rows.height))
            elif name == schema.LINE:
                made.append((pl.col("line").cast(pl.Int64) + first_line).alias(name))
            else:
                made.append(self._find(name)[1](rows).alias(name))
        return rows.with_columns(made) if made else rows

    def _find(self, name: str) -> tuple[frozenset[str], Make]:
        if name not in self._known:
            self._known[name] = self._column(name)
        return self._known[name]

    def _column(self, name: str) -> tuple[frozenset[str], Make]:
        """What a column is computed from, and how."""
        if name == "source":
            return frozenset(), lambda rows: pl.Series([None], dtype=pl.String).new_from_index(0, rows.height)
        if name == "hour":
            return frozenset({"timestamp"}), lambda rows: self._local(rows).dt.hour()
        if name == "weekday":
            named = dict(enumerate(_DAYS, 1))
            return frozenset(
                {"timestamp"}
            ), lambda rows: self._local(rows).dt.weekday().replace_strict(named, return_dtype=pl.String)
        if name in agents.READ:
            return frozenset({"user_agent"}), lambda rows: self._agents.lookup(rows["user_agent"])[name]
        if name in agents.BOTS:
            return frozenset({"user_agent"}), lambda rows: self._bots.lookup(rows["user_agent"])[name]
        if name == "bot_verified":
            if not self.verify_bots:
                raise UsageError("bot_verified takes the addresses of bots", "--verify-bots googlebot.json")
            _ = self._published
            return frozenset({"user_agent", "client_ip"}), self._verified
        if name in places.COLUMNS:
            if name not in self.known_places():
                what = "none of the files of --geo says it" if self.geo else "that takes a database of places"
                raise UsageError(f"{name}: {what}", f"--geo FILE.mmdb; a free one of countries: {places.FREE}")
            return frozenset({"client_ip"}), lambda rows: self._places.lookup(rows["client_ip"])[name]
        if name.startswith("query:"):
            return _of_texts("query", _Parameter(name.removeprefix("query:")))
        if match := re.fullmatch(schema.FAMILIES["ip/N"], name):
            return _of_texts("client_ip", _network_of(name, match))
        raise UsageError(f"no column is called {name!r}", f"the columns are {', '.join(schema.names())}")

    @cached_property
    def _agents(self) -> BoundedCache:
        return BoundedCache(agents.load().read)

    @cached_property
    def _bots(self) -> BoundedCache:
        return BoundedCache(agents.load().bots)

    @cached_property
    def _published(self) -> addresses.Published:
        return addresses.Published(self.verify_bots)

    def _verified(self, rows: pl.DataFrame) -> pl.Series:
        return self._published.verified(self._bots.lookup(rows["user_agent"])["bot"], rows["client_ip"])

    def known_places(self) -> list[str]:
        """The columns of places that the databases know. Raises UsageError."""
        return self._geo.known() if self.geo else []

    @cached_property
    def _geo(self) -> places.Places:
        return places.Places(places.files_of(self.geo))

    @cached_property
    def _places(self) -> BoundedCache:
        return BoundedCache(self._geo.read)

    def _local(self, rows: pl.DataFrame) -> pl.Series:
        return rows["timestamp"].dt.convert_time_zone(self.zone)


def _of_texts(column: str, make: Callable[[pl.Series], pl.Series]) -> tuple[frozenset[str], Make]:
    """A column that is computed of the texts of another, once for each distinct text."""
    known = BoundedCache(lambda texts: make(texts).to_frame())
    return frozenset({column}), lambda rows: known.lookup(rows[column]).to_series()


@dataclass(frozen=True, slots=True)
class _Parameter:
    """The first value of a parameter in queries (without `?`), decoded as forms are."""

    name: str

    def __call__(self, queries: pl.Series) -> pl.Series:
        found = queries.to_frame("query").select(parameter(self.name).alias("value")).to_series()
        encoded = (found.str.contains("[%+]")).arg_true()
        if not len(encoded):
            return found
        return found.scatter(encoded, [_decoded(text) for text in found[encoded].to_list()])


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "backslashreplace")


def _network_of(name: str, match: re.Match[str]) -> Callable[[pl.Series], pl.Series]:
    bits = int(match[1])
    bits6 = int(match[2]) if match[2] else 2 * bits
    if not 1 <= bits <= 32 or not 1 <= bits6 <= 128:
        raise UsageError(
            f"{name}: an address of IPv4 has 32 bits, one of IPv6 128", "write ip/24, or ip/24/48 for both"
        )
    return lambda addresses: _networks(addresses, bits, bits6)


def _networks(addresses: pl.Series, bits: int, bits6: int) -> pl.Series:
    """Addresses → `192.0.2.0/24`, `2001:db8::/48`; what is no address stays as it is, such as the name of a host.

    An address of IPv4 that is written as one of IPv6 (::ffff:192.0.2.1) is one of IPv4.
    """
    octets = addresses.str.extract_groups(_IPV4).struct.unnest().cast(pl.Int64)
    number, inside = pl.lit(0, pl.Int64), pl.lit(value=True)
    for name in octets.columns:
        number = number * 256 + pl.col(name)
        inside &= pl.col(name) < 256
    network = number // 2 ** (32 - bits) * 2 ** (32 - bits)
    parts = [(network // 256**power % 256).cast(pl.String) for power in (3, 2, 1, 0)]
    written = pl.concat_str(parts, separator=".") + f"/{bits}"
    found = octets.select(pl.when(inside).then(written)).to_series()
    odd = found.is_null().arg_true()
    if not len(odd):
        return found
    return found.scatter(odd, [_network(text, bits, bits6) for text in addresses[odd].to_list()])


def _network(text: str | None, bits: int, bits6: int) -> str | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return str(ip_network((address, bits if address.version == 4 else bits6), strict=False))
