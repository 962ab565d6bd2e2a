#!/usr/bin/env python3
"""What the rows of an archive cost a month, by tier and store: the table of `logstats help costs`, with your figures.

    python scripts/archive_cost.py
    python scripts/archive_cost.py --terabytes 2 --gzip 0.08 --days cold=1000 --price "S3 Standard=0.021"

    stored = terabytes a day × 1,000 × gzip × size × days        cost a month = stored × price

`gzip` is what `gzip -6` leaves of the lines, `size` what a tier takes of that, both as `bench_archive.py --only sizes`
measures them; `days` is how long lifecycle.toml leaves a day in a tier. Prices are assumptions, in US dollars per GB
(10^9 bytes) and month, for storage alone: no requests, no retrieval, no traffic, no discounts, no backups.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Final

TERABYTES: Final = 10.0
GZIP: Final = 0.112  # of the lines; 200,000 combined lines of make_logs.py
SIZES: Final = {"hot": 0.67, "warm": 0.57, "cold": 0.48}  # of gzip -6; 2,000,000 lines
DAYS: Final = {"hot": 30.0, "warm": 60.0, "cold": 275.0}  # the lifecycle.toml of `init`, deleted after a year
# List prices of AWS in us-east-1, as others repeat them: EBS as of 4 February 2021 (saisci.com), S3 Standard for the
# first 50 TB as of late 2025 (go-cloud.io), the other two from a page without a date (techlama.blog). Give your own.
PRICES: Final = {"EBS gp3": 0.08, "S3 Standard": 0.023, "S3 Standard-IA": 0.0125, "S3 Glacier Instant": 0.004}


def stored(terabytes: float, gzip: float, size: float, days: float) -> float:
    """GB of rows in a tier, once it is full."""
    return terabytes * 1000 * gzip * size * days


def table(
    terabytes: float, gzip: float, sizes: Mapping[str, float], days: Mapping[str, float], prices: Mapping[str, float]
) -> str:
    """The table, as Markdown: a line for each tier, and one for all."""
    held = {tier: stored(terabytes, gzip, sizes[tier], days[tier]) for tier in sizes}
    lines = [f"| tier | days | size of `gzip -6` | stored | {' | '.join(prices)} |"]
    lines.append("| --- |" + " ---: |" * (3 + len(prices)))
    for tier, gigabytes in held.items():
        costs = " | ".join(f"${gigabytes * price:,.0f}" for price in prices.values())
        lines.append(f"| {tier} | {days[tier]:g} | {sizes[tier]:g} | {gigabytes / 1000:,.1f} TB | {costs} |")
    total = sum(held.values())
    costs = " | ".join(f"${total * price:,.0f}" for price in prices.values())
    lines.append(f"| all | {sum(days.values()):g} | | {total / 1000:,.1f} TB | {costs} |")
    return "\n".join(lines)


def named(pairs: Sequence[str], into: Mapping[str, float], known: str) -> dict[str, float]:
    """`NAME=NUMBER` over the defaults; a name that is not there is refused, or is one more price."""
    made = dict(into)
    for pair in pairs:
        name, _, number = pair.rpartition("=")
        if not name or (known and name not in into):
            raise SystemExit(f"{pair}: write NAME=NUMBER" + (f", of {known}" if known else ""))
        made[name] = float(number)
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terabytes", type=float, default=TERABYTES, help="of lines a day (default: 10)")
    parser.add_argument("--gzip", type=float, default=GZIP, help="what gzip -6 leaves of them (default: 0.112)")
    parser.add_argument("--size", action="append", default=[], metavar="TIER=NUMBER", help="of gzip -6")
    parser.add_argument("--days", action="append", default=[], metavar="TIER=NUMBER", help="in a tier")
    parser.add_argument("--price", action="append", default=[], metavar="STORE=DOLLARS", help="per GB and month")
    args = parser.parse_args()
    tiers = ", ".join(SIZES)
    sizes, days = named(args.size, SIZES, tiers), named(args.days, DAYS, tiers)
    print(table(args.terabytes, args.gzip, sizes, days, named(args.price, PRICES, "")))


if __name__ == "__main__":
    main()
