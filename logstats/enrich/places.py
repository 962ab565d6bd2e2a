"""Where an address is, and whose network it is in, by databases in MaxMind's format (`.mmdb`).

Their records differ by who makes them: MaxMind and DB-IP nest them, IPLocate, IPinfo and ip-location-db do not. Each
column is the first of its keys that a record has, of the files in the order in which they are given. Nothing is
fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logstats.errors import LogstatsError, UsageError
from logstats.frames import pl

if TYPE_CHECKING:
    from maxminddb import Reader

COLUMNS: Final = ("country", "continent", "city", "asn", "as_name")
AUTO: Final = "auto"
USUAL: Final = ("/usr/share/GeoIP", "/var/lib/GeoIP", "/usr/local/share/GeoIP")
FREE: Final = "npm pack @ip-location-db/geo-whois-asn-country-mmdb"  # of countries, CC0
_KEYS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "country": (
        ("country", "iso_code"),
        ("country_code",),
        ("country",),
        ("registered_country", "iso_code"),
    ),
    "continent": (("continent", "code"), ("continent_code",), ("continent",)),
    "city": (("city", "names", "en"), ("city",), ("city_name",)),
    "asn": (("autonomous_system_number",), ("traits", "autonomous_system_number"), ("asn",), ("as_number",)),
    "as_name": (
        ("autonomous_system_organization",),
        ("traits", "autonomous_system_organization"),
        ("as_name",),
        ("org",),
        ("name",),
    ),
}
_CODES: Final = frozenset({"country", "continent"})  # of two letters
_SAMPLE: Final = 5_000  # records that tell what a file says at all


class Places:
    """Looks addresses up in files. Raises UsageError for one that is no database, and where the reader is missing."""

    def __init__(self, files: Sequence[str]) -> None:
        try:
            import maxminddb
        except ImportError:
            raise UsageError("databases of places are read by a package that is not installed", _INSTALL) from None
        self._readers: list[tuple[str, Reader]] = []
        for file in files:
            if not Path(file).is_file():
                raise UsageError(f"--geo {file}: there is no such file", f"a free one: {FREE}")
            try:
                self._readers.append((file, maxminddb.open_database(file)))
            except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is no database of addresses"
                raise UsageError(f"--geo {file}: {why or error}", f"an .mmdb file; a free one: {FREE}") from None

    def known(self) -> list[str]:
        """The columns that one of the files has."""
        found: set[str] = set()
        for file, reader in self._readers:
            for _, record in islice(_guarded(file, lambda reader=reader: iter(reader)), _SAMPLE):
                found |= {name for name in COLUMNS if name not in found and _value(record, name) is not None}
        return [name for name in COLUMNS if name in found]

    def read(self, addresses: pl.Series) -> pl.DataFrame:
        """(country, continent, city, asn, as_name) of each address; null where no file says it."""
        rows = [self._place(text) for text in addresses]
        return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")

    def _place(self, text: str) -> tuple[str | None, ...]:
        try:
            address = ip_address(text.strip("[]").partition("%")[0])
        except ValueError:  # the name of a host
            return (None,) * len(COLUMNS)
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        records = [record for file, reader in self._readers if (record := _lookup(file, reader, str(address)))]
        return tuple(
            next((value for record in records if (value := _value(record, name)) is not None), None) for name in COLUMNS
        )


_INSTALL: Final = "pip install 'logstats[geo]'"


def files_of(named: Sequence[str]) -> tuple[str, ...]:
    """The files that are named; `auto` is those in the usual places, cities first. Raises UsageError if there are
    none."""
    found: list[str] = []
    for name in named:
        if name != AUTO:
            found.append(name)
            continue
        usual = [path for folder in USUAL for path in sorted(Path(folder).glob("*.mmdb"))]
        if not usual:
            raise UsageError(f"--geo auto: no .mmdb in {', '.join(USUAL)}", f"a free one: {FREE}")
        found += map(str, sorted(usual, key=lambda path: "city" not in path.name.lower()))
    return tuple(dict.fromkeys(found))


def _lookup(file: str, reader: Reader, address: str) -> Any:
    """The record of an address; None if there is none, or if it is one of IPv6 and the file knows IPv4 alone."""
    try:
        return reader.get(address)
    except ValueError:
        return None
    except RuntimeError as error:
        raise _damaged(file, error) from None


def _guarded(file: str, records: Any) -> Any:
    try:
        yield from records()
    except (RuntimeError, ValueError) as error:
        raise _damaged(file, error) from None


def _damaged(file: str, error: Exception) -> LogstatsError:
    return LogstatsError(f"{file}: the database is damaged: {error}", "get it again")


def _value(record: Any, name: str) -> str | None:
    """What a record says of a column."""
    for keys in _KEYS[name]:
        found = record
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        if name == "asn" and isinstance(found, int | str) and found:
            number = str(found).upper().removeprefix("AS")
            if number.isascii() and number.isdigit() and int(number):
                return number
        elif isinstance(found, str) and found and (name not in _CODES or len(found) == 2):
            return found
    return None
