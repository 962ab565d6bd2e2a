"""Where clients are: columns from databases as their makers lay them out, wherever columns go."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from program import invoke

import logstats
from logstats import api
from logstats.archive.create import init
from logstats.enrich import places
from logstats.reports.html import world_map

PLACES = {  # network: country, continent, city, number and name of its operator
    "192.0.2.0/25": ("DE", "EU", "Köln", 64496, "Example Net"),
    "198.51.100.0/24": ("JP", "AS", "東京", 64511, "例"),
    "2001:db8:1::/48": ("BR", "SA", "Rio", 65550, '<b>"x"</b>'),
}
ADDRESSES = (
    *("192.0.2.1", "192.0.2.127", "192.0.2.128", "198.51.100.255", "2001:db8:1::9", "2001:db8:2::9"),
    *("::ffff:192.0.2.5", "10.0.0.1", "host.example"),
)


def nested(place: Any) -> dict[str, Any]:
    """MaxMind's City and ASN, and DB-IP's."""
    country, continent, city, asn, name = place
    return {
        "continent": {"code": continent, "names": {"en": "?"}},
        "country": {"iso_code": country, "names": {"en": "?"}},
        "city": {"names": {"de": "?", "en": city}},
        "autonomous_system_number": asn,
        "autonomous_system_organization": name,
    }


def flat(place: Any) -> dict[str, Any]:
    """IPLocate's, and ip-location-db's."""
    country, continent, city, asn, name = place
    return {
        "country_code": country,
        "country_name": "?",
        "continent_code": continent,
        "city": city,
        "asn": f"AS{asn}",
        "name": "SHORT",
        "org": name,
    }


def words(place: Any) -> dict[str, Any]:
    """IPinfo's."""
    country, continent, city, asn, name = place
    return {"country": country, "continent": continent, "city": city, "asn": f"AS{asn}", "as_name": name}


def database(path: Path, layout: Callable[[Any], dict[str, Any]], keep: tuple[str, ...] = ()) -> str:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, languages=["en"], int_type="u32")
    for network, place in PLACES.items():
        record = layout(place)
        writer.insert_network(IPSet([network]), {key: record[key] for key in keep or record})
    writer.to_db_file(str(path))
    return str(path)


def expected(text: str) -> tuple[str | None, ...]:
    """By Python's `ipaddress`."""
    try:
        address = ip_address(text)
    except ValueError:
        return (None,) * 5
    address = getattr(address, "ipv4_mapped", None) or address
    for network, place in PLACES.items():
        if address in ip_network(network):
            return tuple(str(value) for value in place)
    return (None,) * 5


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("geo")
    for layout in (nested, flat, words):
        database(folder / f"{layout.__name__}.mmdb", layout)
    database(folder / "country.mmdb", flat, ("country_code",))
    database(folder / "asn.mmdb", nested, ("autonomous_system_number", "autonomous_system_organization"))
    line = '{ip} - - [17/Jan/2025:10:00:0{n} +0000] "GET / HTTP/1.1" 200 1{n} "-" "curl/8"\n'
    (folder / "a.log").write_text("".join(line.format(ip=ip, n=n) for n, ip in enumerate(ADDRESSES)))
    return folder


@pytest.mark.parametrize("layout", ["nested", "flat", "words"])
def test_every_layout_says_the_same(geo: Path, layout: str) -> None:
    found = places.Places([str(geo / f"{layout}.mmdb")])
    assert found.known() == list(places.COLUMNS)
    assert found.read(pl.Series(ADDRESSES)).rows() == [expected(text) for text in ADDRESSES]


def test_several_databases_are_one(geo: Path) -> None:
    found = places.Places([str(geo / "country.mmdb"), str(geo / "asn.mmdb")])
    assert found.known() == ["country", "asn", "as_name"]
    for row, text in zip(found.read(pl.Series(ADDRESSES)).iter_rows(), ADDRESSES, strict=True):
        country, _, _, asn, name = expected(text)
        assert row == (country, None, None, asn, name)


def test_columns_of_places_are_columns(geo: Path, tmp_path: Path) -> None:
    log, files = str(geo / "a.log"), ["--geo", str(geo / "country.mmdb"), "--geo", str(geo / "asn.mmdb")]
    where = [country for country, *_ in map(expected, ADDRESSES)]
    init(tmp_path / "archive")
    api.add(log, tmp_path / "archive")
    for source in ([log], ["--archive", str(tmp_path / "archive")]):
        ran = invoke("report", *source, *files, "-o", "json", "-q")
        found = json.loads(ran.stdout)["breakdowns"]
        assert list(found) == ["country", "as_name"]  # the panels of what the files know
        assert {row["value"]: row["requests"] for row in found["country"]} == {
            country: where.count(country) for country in set(where) - {None}
        }
        ran = invoke("report", *source, *files, "--split-by", "method", "-o", "json", "-q")
        assert json.loads(ran.stdout)["reports"][0]["report"]["breakdowns"] == found
    germans = logstats.report([log], geo=files[1::2], where='country = "DE" and asn = 64496')
    assert germans.requests == where.count("DE")
    masked = logstats.report([log], geo=files[1::2], by=["country"], anonymize="hash")  # looked up before
    assert sum(row.requests for row in masked.breakdowns["country"]) == len([one for one in where if one])
    html = invoke("report", log, "--geo", str(geo / "words.mmdb"), "-o", "html", "-q").stdout.decode()
    assert "&lt;b&gt;" in html and '<b>"x"' not in html and "東京" in html


def test_what_cannot_be_known_is_said_before_a_line_is_read(geo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, country = str(geo / "a.log"), str(geo / "country.mmdb")
    (geo / "no.mmdb").write_bytes(b"no database")
    whole = (geo / "nested.mmdb").read_bytes()
    (geo / "cut.mmdb").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(places, "USUAL", (str(geo / "nowhere"),))
    for arguments, said in (
        (["--by", "city", "--geo", country], b"none of the files of --geo says it"),
        (["--by", "country"], b"--geo FILE.mmdb"),
        (["--geo", str(geo / "absent.mmdb")], b"there is no such file"),
        (["--geo", str(geo / "no.mmdb")], b"no database of addresses"),
        (["--geo", str(geo / "cut.mmdb")], b"no database of addresses"),
        (["--geo", str(geo)], b"there is no such file"),
        (["--geo", "auto"], b"npm pack @ip-location-db/geo-whois-asn-country-mmdb"),
    ):
        ran = invoke("report", log, *arguments)
        assert ran.returncode == 2 and said in ran.stderr and b"Traceback" not in ran.stderr, ran.stderr
    for ignoring in (["parse", log], ["diff", log, log], ["scan", log], ["archive", "add", log]):
        assert invoke(*ignoring, "--geo", country).returncode == 2
    monkeypatch.setattr(places, "USUAL", (str(geo / "nowhere"), str(geo)))
    (geo / "no.mmdb").unlink()
    (geo / "cut.mmdb").unlink()
    assert json.loads(invoke("report", log, "--geo", "auto", "-o", "json", "-q").stdout)["breakdowns"]["city"]
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    assert b"pip install 'logstats[geo]'" in invoke("report", log, "--geo", country).stderr


def test_a_damaged_database_is_an_error_for_people(geo: Path) -> None:
    """Every record points to nowhere: each byte of the section that holds them is changed."""
    data = bytearray((geo / "nested.mmdb").read_bytes())
    start = data.index(b"\x00" * 16) + 16
    data[start : data.index(b"\xab\xcd\xefMaxMind.com")] = b"\xff" * (data.index(b"\xab\xcd\xefMaxMind.com") - start)
    (geo / "damaged").write_bytes(data)
    ran = invoke("report", str(geo / "a.log"), "--by", "country", "--geo", str(geo / "damaged"))
    assert ran.returncode in (1, 2) and b"Traceback" not in ran.stderr and ran.stderr


def test_the_map_has_a_circle_for_each_country(geo: Path) -> None:
    log, country = str(geo / "a.log"), str(geo / "country.mmdb")
    page = invoke("report", log, "--geo", country, "-o", "html", "-q").stdout.decode()
    found = Counter(place[0] for text in ADDRESSES if (place := expected(text))[0])
    shown = dict(re.findall(r"<title>([A-Z]{2}): ([0-9,]+) requests?</title>", page))
    assert {code: int(number) for code, number in shown.items()} == found
    assert "world" not in invoke("report", log, "-o", "html", "-q").stdout.decode().split("<body>")[1]


def test_circles_are_as_large_as_their_numbers() -> None:
    drawn = str(world_map.world({"DE": 400, "FR": 100, "<b>": 7, "(other)": 9, "": 1}))
    radii = [float(radius) for radius in re.findall(r'country"><circle [^>]* r="([0-9.]+)"', drawn)]
    assert len(radii) == 2
    assert radii[0] == pytest.approx(2 * radii[1])
    assert "<b>" not in drawn
    assert world_map.world({"ZZ": 5}) is None
    assert all(re.fullmatch("[A-Z]{2}", code) for code in world_map.middles())
    assert all(-56 <= lat <= 84 and -180 <= lon <= 180 for lat, lon in world_map.middles().values())


def test_the_story_of_a_client_says_where_it_was(geo: Path) -> None:
    address = next(text for text in ADDRESSES if expected(text)[0])
    files = ["--geo", str(geo / "country.mmdb"), "--geo", str(geo / "asn.mmdb")]
    made = json.loads(invoke("sessions", str(geo / "a.log"), "--of", address, *files, "-q", "-o", "json").stdout)
    country, _, _, asn, name = expected(address)
    assert made["addresses"] == [
        {"client_ip": address, "requests": made["requests"], "country": country, "asn": asn, "as_name": name}
    ]
    shown = invoke("sessions", str(geo / "a.log"), "--of", address, *files, "-q").stdout.decode()
    assert all(text in shown for text in (f"from {address} (", country, asn, name)), shown
    assert "addresses" in json.loads(invoke("sessions", str(geo / "a.log"), "--of", address, "-q", "-o", "json").stdout)
