"""The constants of both sketches, for those who need no more of them, such as the SQL macros of an archive."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

# The latency histogram, see `loghist`.
ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)

# HyperLogLog, see `hll`.
PRECISION: Final = 14
REGISTERS: Final = 1 << PRECISION
ALPHA_M2: Final = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS**2  # raw estimate: this / sum of 2^-rank
LINEAR: Final = 11_500.0  # the package's threshold: up to here, linear counting estimates better


@cache
def bias_tables() -> tuple[list[float], list[float]]:
    """Raw estimates, and the bias of each, from the `hyperloglog` package.

    Only its file of constants is loaded: the package itself imports NumPy.
    """
    found = importlib.util.find_spec("hyperloglog")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("hyperloglog.const", folder / "const.py")
    assert spec is not None
    assert spec.loader is not None
    constants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(constants)
    row = PRECISION - 4
    return list(constants.rawEstimateData[row]), list(constants.biasData[row])
