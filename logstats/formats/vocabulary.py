"""The keys under which programs log the fields of a request, and the units that products use: `keys.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

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
    """The fields of a format, extended by the common table; the format's own keys come first."""
    fields = dict(own)
    for name, section in _vocabulary().items():
        if name == "fingerprint":
            continue
        given = {key: value for key, value in section.items() if key != "keys"}
        one = fields.get(name) or Field(**{"role": name, **given})
        fields[name] = replace(one, keys=tuple(dict.fromkeys((*one.keys, *section["keys"]))))
    return fields
