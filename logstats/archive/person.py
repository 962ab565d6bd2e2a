"""Persons in an archive: which rows are theirs, what else names them, and rows, endpoints and lines without them.

A row is theirs if its `user_id` or `client_ip` is one of their own. They are named in a text if one of these stands in
it as a word, as `grep -w` has it, whether or not it, and what stands before it, is percent-encoded or escaped; an
address of IPv6 in any of its spellings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, quote_plus

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.frames import pl

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

    @property
    def told_by(self) -> tuple[str, ...]:
        """The columns that say which rows are theirs."""
        return (*(("user_id",) if self.users else ()), *(("client_ip",) if self.addresses else ()))

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
        return any(pattern.search(line) is not None for pattern in self._bytes)

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
    def _patterns(self) -> list[str]:
        """Regular expressions, which Rust and Python read alike: (before), what names them, (after)."""
        words: list[str] = []
        for user in self.users:
            escaped = json.dumps(user)[1:-1], json.dumps(user, ensure_ascii=False)[1:-1]
            words += map(_literal, (user, quote(user), quote(user, safe=""), quote_plus(user), *escaped))
        words += [_literal(str(address)) for address in self.addresses if address.version == 4]
        found = [rf"(?i)(^|\W|{_SEPARATOR})(?:{'|'.join(dict.fromkeys(words))})($|\W)"] if words else []
        return found + [f"(?i){_BEFORE_GROUPS}(?:{_spellings(address)}){_AFTER_GROUPS}" for address in self.addresses]

    @cached_property
    def _bytes(self) -> list[re.Pattern[bytes]]:
        return [re.compile(pattern.encode()) for pattern in self._patterns]


def _address(text: str) -> Address:
    address = ip_address(text.strip("[]").partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _spellings(address: Address) -> str:
    """A regular expression of all spellings of an address of IPv6, or of the one that maps an address of IPv4: any run
    of zeros may be left out, groups may begin with zeros, the last two may be in decimal."""
    number = int(address) if address.version == 6 else int(address) | 0xFFFF << 32
    groups = [f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)]
    plain = [f"0{{0,{4 - len(group)}}}{group}" for group in groups]
    found = []
    for parts in (plain, [*plain[:6], _literal(str(IPv4Address(number & 0xFFFFFFFF)))]):
        found.append(_COLON.join(parts))
        for begin in range(len(parts)):
            for end in range(begin + 1, len(parts) + 1):
                if set(parts[begin:end]) == {"0{0,3}0"}:
                    found.append(_COLON.join(parts[:begin]) + _COLON * 2 + _COLON.join(parts[end:]))
    return "|".join(found)


_CODES: Final = "[0-2][0-9a-f]|3[b-f]|40|5[b-e]|60|7[b-f]"  # of ASCII characters that are part of no word, and no colon
_SEPARATOR: Final = rf"(?:%|\\x|\\u00)(?:{_CODES}|3a)|\\[nrt]"  # such a character, as URLs and servers escape it
_COLON: Final = "(?::|%3a)"
# An address of IPv6 begins after what is no part of one, or after a name and a colon. After a colon it may go on.
_BEFORE_GROUPS: Final = rf"(^|[^\w:]|(?:%|\\x|\\u00)(?:{_CODES})|\\[nrt]|[g-z_][0-9a-f]*{_COLON})"
_AFTER_GROUPS: Final = r"($|[^\w:%]|:(?:[^0-9a-f:]|$)|%(?:[^3]|3[^a]|3?$))"


def _literal(text: str) -> str:
    """A text as a regular expression, for Rust and Python."""
    return "".join(c if c.isalnum() or c in "_ " or ord(c) > 127 else rf"\x{ord(c):02x}" for c in text)
