"""How much the random tests try. This is the one place that says so.

A run of the suite tries few seeds and few examples of what is expensive. `LOGSTATS_TEST_ROUNDS=10 scripts/test` tries
ten times as many of each; `scripts/fuzz.py` goes on for as long as it is told to.
"""

from __future__ import annotations

import os

ROUNDS = int(os.environ.get("LOGSTATS_TEST_ROUNDS") or 1)


def examples(number: int) -> int:
    """So many examples of a property test, in one round."""
    return number * ROUNDS


def seeds(number: int) -> range:
    """The seeds to try, so many in one round."""
    return range(number * ROUNDS)
