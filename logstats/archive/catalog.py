"""The views and macros over one snapshot, as SQL: what `query` runs in, and catalog.sql for DuckDB's own shell.

A view names the files of the snapshot one by one: a pattern would also match files that are not yet committed, or no
longer. It reads each tier by a scan of its own, since tiers have different partitions and cold may lack columns.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING, Final

from logstats import schema
from logstats.sketches import hll, loghist

if TYPE_CHECKING:
    from logstats.archive.commits import DataFile, Snapshot


def macros() -> str:
    """The macros (`macros.sql` documents each), with the sketches' constants filled in."""
    raws, biases, threshold = hll.bias_tables()
    text = resources.files("logstats.archive").joinpath("macros.sql").read_text("utf-8")
    constants = {
        "estimates": "[" + ", ".join(map(_double, raws)) + "]",
        "biases": "[" + ", ".join(map(_double, biases)) + "]",
        "threshold": _double(threshold),
        "alpha_m2": _double(hll.ALPHA_M2),
        "log_gamma": _double(math.log(loghist.GAMMA)),
        "inverse_log_gamma": _double(1 / math.log(loghist.GAMMA)),
        "log_middle": _double(math.log(2 / (loghist.GAMMA + 1))),
        "log_largest": _double(math.log(sys.float_info.max)),
    }
    for name, value in constants.items():
        text = text.replace("{" + name + "}", value)
    return text


def _double(number: float) -> str:
    """A literal that DuckDB reads as the same Float64: one without an exponent would be a decimal."""
    mantissa, _, exponent = repr(float(number)).partition("e")
    return f"{mantissa}e{exponent or 0}"


def quoted(text: object) -> str:
    """A string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def name(text: str) -> str:
    """An identifier."""
    return '"' + text.replace('"', '""') + '"'
