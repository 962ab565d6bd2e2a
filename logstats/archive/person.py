"""Persons in an archive: which rows are theirs, what else names them, and rows, endpoints and lines without them.

A row is theirs if its `user_id` or `client_ip` is one of their own. They are named in a text if one of these stands in
it as a word, as `grep -w` has it, whether or not it is percent-encoded; an address of IPv6 in any of its spellings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, quote_plus

import polars as pl

from logstats.dataclass import dataclass
from logstats.errors import UsageError

ERASED: Final = "(erased)"
# What a row says of a person. The rest (time, method, endpoint, status, duration, bytes, host, …) is of a request.
PERSONAL: Final = (*("path", "query", "user_id", "client_ip", "referer", "user_agent", "message", "trace_id", "extra"),)
TEXTS: Final = ("path", "query", "endpoint", "referer", "user_agent", "message", "trace_id", "extra")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Persons:
    """Those who are to be forgotten, by their ids and addresses."""

    users: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()

    @classmethod
    def named(cls, users: Sequence[str], addresses: Sequence[str]) -> Persons:
        """As a user names them. Raises UsageError."""
        found = []
        for text in addresses:
            try:
                found.append(_address(text.strip()))
            except ValueError:
                raise UsageError(f"--ip {text}: this is no address", "192.0.2.7 or 2001:db8::1") from None
        if any(not user.strip() for user in users):
            raise UsageError("--user is empty", "is a shell variable unset?")
        if not users and not found:
            raise UsageError("who is to be forgotten?", "--user ID, --ip ADDRESS")
        return cls(tuple(dict.fromkeys(users)), tuple(dict.fromkeys(found)))

    def theirs(self, rows: pl.DataFrame) -> pl.Series:
        """Which rows are theirs, by those of `user_id` and `client_ip` that they have."""
        found = pl.Series([False]).new_from_index(0, rows.height)
        if self.users and "user_id" in rows.columns:
            found |= rows["user_id"].is_in(self.users).fill_null(value=False)
        if self.addresses and "client_ip" in rows.columns:
            spellings = [text for text in rows["client_ip"].drop_nulls().unique() if self._is_address(text)]
            found |= rows["client_ip"].is_in(spellings).fill_null(value=False)
        return found

    def naming(self, rows: pl.DataFrame) -> pl.Series:
        """Which rows name them in a text."""
        found = pl.Series([False]).new_from_index(0, rows.height)
        for column in TEXTS:
            if column in rows.columns:
                found |= self.in_texts(rows[column])
        return found

    def in_texts(self, texts: pl.Series) -> pl.Series:
        """Which texts name them."""
        found = pl.Series([False]).new_from_index(0, len(texts))
        for pattern in self._patterns:
            found |= texts.str.contains(pattern).fill_null(value=False)
        return found

    def in_bytes(self, line: bytes) -> bool:
        """Whether a line, which need not be UTF-8, names them."""
        return self._bytes.search(line) is not None

    def without(self, rows: pl.DataFrame, *, mentions: bool) -> pl.DataFrame:
        """The rows without what says that they are theirs; with `mentions`, without their names in all rows."""
        theirs = self.theirs(rows)
        columns = []
        for name in dict.fromkeys((*PERSONAL, *TEXTS)):
            if name not in rows.columns:
                continue
            column = self.masked(rows[name]) if mentions and name in TEXTS else rows[name]
            if name in PERSONAL:
                column = column.to_frame().select(pl.when(~theirs).then(pl.col(name))).to_series()
            columns.append(column)
        return rows.with_columns(columns)

    def masked(self, texts: pl.Series) -> pl.Series:
        """The texts, with what names them replaced."""
        for pattern in self._patterns * 2:  # twice, for two names with one character between them share it
            texts = texts.str.replace_all(pattern, "${1}" + ERASED + "${2}")
        return texts

    def _is_address(self, text: str) -> bool:
        try:
            return _address(text) in self.addresses
        except ValueError:
            return False

    @cached_property
    def _spellings(self) -> list[tuple[str, str]]:
        """(regular expressions of what may stand for them in a text, the characters that must not stand beside it).

        Rust and Python read them alike.
        """
        found = []
        for user in self.users:
            escaped = json.dumps(user)[1:-1], json.dumps(user, ensure_ascii=False)[1:-1]
            spellings = (user, quote(user), quote(user, safe=""), quote_plus(user), *escaped)
            found += [(_literal(spelling), r"\w") for spelling in dict.fromkeys(spellings)]
        for address in self.addresses:
            if address.version == 4:
                found.append((_literal(str(address)), r"\w"))
                continue
            whole = ":".join(f"{int(group, 16):x}" for group in address.exploded.split(":"))
            found += [(_groups(text), r"\w:") for text in dict.fromkeys((str(address), whole))]
        return found

    @cached_property
    def _patterns(self) -> list[str]:
        """Regular expressions of Rust: before, what names them, after."""
        sides: dict[str, list[str]] = {}
        for spelling, beside in self._spellings:
            sides.setdefault(beside, []).append(spelling)
        return [f"(?i)(^|[^{beside}])(?:{'|'.join(spellings)})($|[^{beside}])" for beside, spellings in sides.items()]

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        return re.compile(
            b"|".join(
                b"(?<![%b])%b(?![%b])" % (beside.encode(), spelling.encode(), beside.encode())
                for spelling, beside in self._spellings
            ),
            re.IGNORECASE,
        )


def _address(text: str) -> Address:
    address = ip_address(text.strip("[]").partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _groups(address: str) -> str:
    """An address of IPv6, whose groups may begin with zeros, and whose colons may be percent-encoded."""
    groups = (f"0{{0,{4 - len(group)}}}{group}" if group else "" for group in address.split(":"))
    return "(?::|%3a)".join(groups)


def _literal(text: str) -> str:
    """A text as a regular expression, for Rust and Python."""
    return "".join(c if c.isalnum() or c in "_ " or ord(c) > 127 else rf"\x{ord(c):02x}" for c in text)
