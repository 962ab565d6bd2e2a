"""The keys under which programs log the fields of a request, and the units that products use: `keys.toml`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from logstats.formats.index import vocabulary
from logstats.formats.model import Field


@cache
def _vocabulary() -> dict[str, Any]:
    return vocabulary() or parsed()


def parsed() -> dict[str, Any]:
    """What `keys.toml` says, from the file itself."""
    import tomllib

    return tomllib.loads((resources.files("logstats.formats") / "keys.toml").read_text(encoding="utf-8"))


def fingerprints() -> Sequence[Mapping[str, str]]:
    """Facts that settle the unit of a bare number: lines of a `product` match `pattern`, and its durations are in
    `unit`."""
    found: Sequence[Mapping[str, str]] = _vocabulary()["fingerprint"]
    return found


def with_vocabulary(own: Mapping[str, Field]) -> dict[str, Field]:
    """The fields of a format, extended by the common table; the format's own keys come first. Each has the other
    `spellings` of its keys, unless they might mean another field."""
    fields = dict(own)
    for name, section in _vocabulary().items():
        if name in ("fingerprint", "durations", "joined"):
            continue
        given = {key: value for key, value in section.items() if key != "keys"}
        one = fields.get(name) or Field(**{"role": name, **given})
        fields[name] = replace(one, keys=tuple(dict.fromkeys((*one.keys, *section["keys"]))))
    spelled = {name: _spelled(name, field.keys) for name, field in fields.items()}
    taken = Counter(text for name, field in fields.items() for text in (*field.keys, *spelled[name]))
    return {
        name: replace(field, spellings=tuple(text for text, sure in spelled[name].items() if sure and taken[text] == 1))
        for name, field in fields.items()
    }


def _spelled(name: str, keys: Sequence[str]) -> dict[str, bool]:
    """Other spellings of the keys of a section: `request_uri` as `requestUri`, `requestURI`, `RequestUri`,
    `request-uri`, and `request.uri` as `request_uri` as well. Where a section fixes the unit of durations, those of
    keys that name it are sure, and of all words for durations with its unit behind them."""
    table = _vocabulary()["durations"]
    units, joined = table.get(name, ()), _vocabulary()["joined"]["objects"]
    named = {word for unit in units for word in unit.split("_")}
    found: dict[str, bool] = {}
    for key in (*keys, *(f"{word}_{unit}" for word in table["words"] for unit in units)):
        if not _PLAIN_KEY.fullmatch(key):
            continue
        parts = [[word.lower() for word in _WORD.findall(part)] for part in key.split(".")]
        words = [word for part in parts for word in part]
        sure = not name.startswith(("duration_", "upstream_")) or words[-1] in named
        for these in (parts, [words]) if key.split(".")[0] in joined else (parts,):
            for spell in _STYLES:
                text = ".".join(spell(part) for part in these)
                found[text] = sure or found.get(text, False)
    return {text: sure for text, sure in found.items() if text not in keys}


def _humps(words: Sequence[str], *, first: bool, acronyms: bool) -> str:
    spelled = [word.upper() if acronyms and word in _ACRONYMS else word.capitalize() for word in words]
    return "".join(spelled if first else [words[0], *spelled[1:]])


_PLAIN_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._-][A-Za-z][A-Za-z0-9]*)*")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_ACRONYMS: Final = frozenset({"ip", "url", "uri", "id", "ms", "ns", "us", "http"})
_STYLES: Final[Sequence[Callable[[Sequence[str]], str]]] = (
    "_".join,
    "-".join,
    *(partial(_humps, first=first, acronyms=acronyms) for first in (False, True) for acronyms in (False, True)),
)
