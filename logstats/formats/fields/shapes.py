"""The form of the values of a role. A line with a value of another form is not of the format, where the format finds
values by their place. Where it finds them by a key (JSON, key=value), the line is of the format; the value is invalid.

    client_ip   an IPv4 or IPv6 address (with a zone, `fe80::1%eth0`, or in brackets with a port), a host name, or
                `unix:`; a port where the format says so, that of an IPv4 address, brackets without a port, and all but
                the first address of a list are taken off before (five digits behind the last colon of an IPv6 address
                are a port: a group has four at the most)
    user_id     words, of which none but the first begins with `-`, and none of several is `-`; between quotes anything;
                `""` where there is no name (Apache)
    host        a host name or an address, with or without a port; between quotes anything
    method      a word of letters, `-` and `_` (IIS's FTP service puts a session in front, `[2]USER`); by a key,
                in capitals or one of RFC 9110 (`sendEmail` is no method)
    protocol    letters, digits, `/`, `.`, `-` and `_`
    ident       one word without a dot or a colon (RFC 1413 has no addresses)

`-` and the empty text mean no value, and fit. C accepts most values; the expressions decide about the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from logstats.dataclass import dataclass
from logstats.formats.engines.delimited import Variable, parse_pattern
from logstats.formats.model import KEYED, Field, Format
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

IDENT: Final = "ident"
_PORTED: Final = (
    r"^(?:([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{1,5}"
    r"|\[([0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._~-]+)?)\])$"
)
_LIST: Final = r"^[0-9A-Za-z_.:%\[\] -]*,[0-9A-Za-z_.:%,\[\] -]*$"
_USABLE: Final = (
    r"(?:^|, *)((?:[0-9]{1,3}\.){3}[0-9]{1,3}|\[?[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?)(?::[0-9]{1,5})? *(?:,|$)"
)


@dataclass(frozen=True)
class Shape:
    """Texts that match `expression`. C accepts those that consist of bytes of `table`, and are of this `kind` (`shaped`
    in numbers.c)."""

    expression: str
    table: bytes
    kind: int = kernels.WORD

    def unfit(self, texts: pl.Series) -> pl.Series | None:
        """A mask of the texts (String) that do not fit; None if all do."""
        if kernels.AVAILABLE:
            certain = kernels.shaped(texts, self.table, self.kind)
            if certain is None:
                return None
            places = as_numbers(np.flatnonzero(~certain))
        else:
            places = as_numbers(np.arange(len(texts)))
        odd = ~texts.gather(places).str.contains(self.expression).fill_null(value=True)
        if not odd.any():
            return None
        return pl.repeat(value=False, n=len(texts), eager=True).scatter(places, odd)


def first_usable(texts: pl.Series) -> pl.DataFrame:
    """The first address of each list, `client, proxy`; IPv4 addresses without their ports, IPv6 addresses without
    brackets; other texts are kept."""
    text = pl.col("")
    usable = pl.coalesce(pl.when(text.str.contains(_LIST)).then(text.str.extract(_USABLE, 1)), text)
    return texts.to_frame("").select(
        pl.coalesce(usable.str.extract(_PORTED, 1), usable.str.extract(_PORTED, 2), usable)
    )


def _table(word: str, letters: str = "", hexadecimal: str = "") -> bytes:
    table = bytearray(256)
    for bit, some in ((1, word), (2, letters), (4, hexadecimal)):
        for byte in some.encode():
            table[byte] |= bit
    return bytes(table)


_DIGITS: Final = "0123456789"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))

CLIENT: Final = Shape(
    r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
    r"|[0-9A-Fa-f.]*:(?:[0-9A-Fa-f.]*:)+(?:[0-9A-Fa-f]{0,4}|[0-9A-Fa-f]*\.[0-9A-Fa-f.]*)(?:%[0-9A-Za-z._~-]+)?"
    r"|\[[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._~-]+)?\]:[0-9]{1,5}"
    r"|[0-9.*-]*[A-Za-z_][0-9A-Za-z_.*-]*"
    r"|unix:[^ ,\"\[\]\x00-\x1f]*)$",
    _table(_DIGITS + _LETTERS + ".*-", _LETTERS, _DIGITS + "abcdefABCDEF:."),
    kernels.ADDRESS,
)
USER: Final = Shape(
    r"^(?:\"\"|-?|(?:-[^ \"\x00-\x1f]+|[^ \"\x00-\x1f-][^ \"\x00-\x1f]*)?(?: [^ \"\x00-\x1f-][^ \"\x00-\x1f]*)*)$",
    _table(_PRINTABLE.replace('"', "")),
    kernels.WORDS,
)
HOST: Final = Shape(
    r"^(?:[0-9A-Za-z_.*:%-]*|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?)$", _table(_DIGITS + _LETTERS + ".*:%-")
)
METHOD: Final = Shape(r"^(?:\[[0-9]+\])?[A-Za-z_-]*$", _table(_LETTERS + "-"))
SENT_METHOD: Final = Shape(rf"{METHOD.expression}|\\|[^\x20-\x7e]", METHOD.table)
PROTOCOL: Final = Shape(r"^[0-9A-Za-z_/.-]*$", _table(_DIGITS + _LETTERS + "/.-"))
KEYED_METHOD: Final = Shape(
    r"^(?:[A-Z][A-Z_-]{0,31}|(?i:get|head|post|put|delete|connect|options|trace|patch)|-)?$",
    _table("".join(letter for letter in _LETTERS if letter.isupper())),
)
WORD: Final = Shape(r"^[^ .:\"\x00-\x1f]*$", _table("".join(c for c in _PRINTABLE if c not in '.:"')))

_OF_PLACES: Final = {"method": METHOD, "protocol": PROTOCOL}


def by_keys(format: Format) -> bool:
    """Whether the format finds values by keys, at least those that have no certain place."""
    return format.engine in KEYED or any(field.role == "fields" for field in format.fields.values())


def with_ident(format: Format) -> Format:
    """The format with a field for `$ident`, if its pattern has that variable without a field."""
    if format.engine != "delimited" or IDENT in format.fields or f"${IDENT} " not in format.pattern:
        return format
    from dataclasses import replace

    return replace(format, fields={**format.fields, IDENT: Field("ignored")})


def shapes_of(format: Format, *, named: bool = False) -> Mapping[str, Shape]:
    """The shapes of a format's variables, for those that have one. In a format that the user `named`, what stands in
    the place of a method or protocol may be what the server was sent, such as the bytes of a TLS handshake (escaped or
    not), which tell of no other format; an address or a word in brackets does."""
    if format.wraps:
        return {}
    of_places = {"method": SENT_METHOD} if named else _OF_PLACES
    shapes = {"client_ip": CLIENT, **({"method": KEYED_METHOD} if by_keys(format) else of_places)}
    found = {name: shapes[field.role] for name, field in format.fields.items() if field.role in shapes}
    if format.engine == "delimited":
        bare = _unquoted(format.pattern)
        for name, field in format.fields.items():
            if name in bare and field.role in ("user_id", "host"):
                found[name] = USER if field.role == "user_id" else HOST
            elif name == IDENT and name in bare:
                found[name] = WORD
    return found


def _unquoted(pattern: str) -> set[str]:
    """The variables of a pattern that are not between quotes."""
    found, quotes = set(), 0
    for part in parse_pattern(pattern):
        if isinstance(part, Variable):
            if quotes % 2 == 0:
                found.add(part.name)
        else:
            quotes += part.count('"')
    return found
