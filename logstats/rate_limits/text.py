"""A rehearsed limit for people and for programs: a document, a JSON object, rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from logstats.frames import pl
from logstats.rate_limits.limit import TOKEN_BUCKET, Limit
from logstats.rate_limits.replay import PERCENTILES, Fit, Outcome
from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.model import iso
from logstats.reports.units import count, counted, duration, percent, share
from logstats.summaries.traffic import EPOCH

SCHEMA_VERSION: Final = 1
_WORST: Final = 5  # intervals shown


def to_dict(made: Outcome, generated_at: datetime) -> dict[str, Any]:
    """The JSON object."""
    rules = made.rules
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": iso(generated_at),
        "algorithm": rules.algorithm,
        "limit": rules.limit.text,
        "burst": rules.limit.room if rules.algorithm == TOKEN_BUCKET else None,
        "by": list(rules.by),
        "tiers": [{"where": tier.text, "limit": tier.limit.text} for tier in rules.tiers],
        "requests": made.requests,
        "refused": made.refused,
        "share": made.refused / made.requests if made.requests else None,
        "keys": made.keys,
        "keys_refused": made.keys_refused,
        "untimed": made.left.untimed,
        "unkeyed": made.left.unkeyed,
        "late": made.left.late,
        "wait_s": {
            "max": made.wait_max / 1e6,
            "percentiles": {text: made.wait_ms(text) / 1000 for text in PERCENTILES},
        }
        if made.refused
        else None,
        "fit": None if made.fit is None else _fit(made.fit, made.requests),
        "per_key": [_key(row, made) for row in made.per_key.iter_rows(named=True)],
        "per_key_others": made.others,
        "step_minutes": made.step,
        "over_time": [
            {"time": iso(_moment(time)), "requests": requests, "refused": refused}
            for time, requests, refused in made.over_time.iter_rows()
        ],
        "notes": made.notes,
    }


def _fit(fit: Fit, requests: int) -> dict[str, Any]:
    found = fit.limit is not None
    return {
        "share": float(fit.asked),
        "limit": fit.limit.text if fit.limit else None,
        "requests": requests,
        "refused": fit.refused if found else None,
        "refused_share": fit.refused / requests if found and requests else None,
    }


def _key(row: dict[str, Any], made: Outcome) -> dict[str, Any]:
    values = {name: row[name] for name in made.rules.by}
    return {
        "key": name_of(row, made),
        "by": {name: _plain(value) for name, value in values.items()},
        "tier": made.rules.tiers[row["tier"] - 1].text if row["tier"] else None,
        "limit": made.rules.limits[row["tier"]].text,
        "requests": row["requests"],
        "refused": row["refused"],
        "share": row["refused"] / row["requests"],
        "wait_max_s": row["wait"] / 1e6,
        "first_refused": None if row["first"] is None else iso(_moment(row["first"])),
        "last_refused": None if row["last"] is None else iso(_moment(row["last"])),
    }


def name_of(row: dict[str, Any], made: Outcome) -> str:
    """The values of a key as one text."""
    return ", ".join("-" if row[name] is None else str(_plain(row[name])) for name in made.rules.by)


def _plain(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=max(micros, -62_135_596_800_000_000))


def rows(made: Outcome) -> pl.DataFrame:
    """One row for each key: its columns, the tier and what became of it."""
    tiers = {number: tier.text for number, tier in enumerate(made.rules.tiers, 1)}
    limits = {number: limit.text for number, limit in enumerate(made.rules.limits)}
    micros = pl.Datetime("us", "UTC")
    return made.per_key.select(
        *made.rules.by,
        pl.col("tier").replace_strict(tiers, default=None, return_dtype=pl.String),
        pl.col("tier").replace_strict(limits, return_dtype=pl.String).alias("limit"),
        "requests",
        "refused",
        (pl.col("refused") / pl.col("requests")).alias("share"),
        (pl.col("wait") / 1e6).alias("wait_max_s"),
        *(
            pl.col(end).cast(micros).dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias(f"{end}_refused")
            for end in ("first", "last")
        ),
    )


def described(limit: Limit, algorithm: str) -> str:
    """100/60s by token-bucket, burst 20."""
    burst = f", burst {count(limit.burst)}" if limit.burst is not None else ""
    return f"{limit.text} by {algorithm}{burst}"


def sections(made: Outcome, clock: Clock, top: int) -> list[Section]:
    """The document."""
    rules = made.rules
    lines = [
        Cell(
            f"{count(made.refused)} of {counted(made.requests, 'request')} refused"
            f" ({share(made.refused, made.requests)}), from {count(made.keys_refused)} of {counted(made.keys, 'key')}",
            "bold",
        )
    ]
    if made.refused:
        waits = "   ".join(f"p{text} {duration(made.wait_ms(text))}" for text in PERCENTILES)
        lines.append(Cell(f"Retry-After: {waits}   max {duration(made.wait_max / 1000)}"))
    lines += [Cell(f"{tier.limit.text} where {tier.text}") for tier in rules.tiers]
    if made.fit is not None:
        lines.append(Cell(_fit_words(made.fit, made)))
    note = f"{described(rules.limit, rules.algorithm)} · by {', '.join(rules.by)}"
    found = [Section("Rate limit", note, lines), _keys(made, clock, top)]
    worst = made.over_time.filter(pl.col("refused") > 0).sort("refused", "time", descending=[True, False]).head(_WORST)
    if worst.height:
        body = [
            [
                Cell(clock.moment(_moment(time))),
                Cell(count(requests)),
                Cell(count(refused), "red"),
                Cell(share(refused, requests)),
            ]
            for time, requests, refused in worst.iter_rows()
        ]
        title = "Worst minutes" if made.step == 1 else f"Worst {count(made.step)} minutes"
        found.append(Section(title, heads=["from", "requests", "refused", "share"], rows=body))
    if said := _notes(made):
        found.append(Section("Notes", lines=[Cell(text) for text in said]))
    return found


def _fit_words(fit: Fit, made: Outcome) -> str:
    asked = percent(float(fit.asked), 4)
    if fit.limit is None:
        return f"no limit in this period refuses at most {asked}: the burst, or a tier, refuses more"
    return (
        f"the smallest limit that refuses at most {asked} is {fit.limit.text}: {count(fit.refused)} of "
        f"{counted(made.requests, 'request')} ({share(fit.refused, made.requests)})"
    )


def _keys(made: Outcome, clock: Clock, top: int) -> Section:
    refused = made.per_key.filter(pl.col("refused") > 0)
    tiers = ["", *(tier.text for tier in made.rules.tiers)]
    body = [
        [
            Cell(name_of(row, made)),
            *([Cell(tiers[row["tier"]])] if made.rules.tiers else []),
            Cell(count(row["requests"])),
            Cell(count(row["refused"]), "red"),
            Cell(share(row["refused"], row["requests"])),
            Cell(duration(row["wait"] / 1000)),
            Cell(clock.moment(_moment(row["first"]))),
        ]
        for row in refused.head(top).iter_rows(named=True)
    ]
    note = f"{len(body)} of {count(made.keys_refused)}" if made.keys_refused > len(body) else ""
    keys = [", ".join(made.rules.by), *(["tier"] if made.rules.tiers else [])]
    heads = [*keys, "requests", "refused", "share", "longest wait", "first refused"]
    lines = [] if body else [Cell("nobody")]
    return Section("Who is refused", note, lines, heads, body)


def _notes(made: Outcome) -> list[str]:
    left, found = made.left, list(made.notes)
    if left.untimed:
        found.append(f"{counted(left.untimed, 'request')} without a time: not replayed")
    if left.unkeyed:
        found.append(f"{counted(left.unkeyed, 'request')} without {' and '.join(made.rules.by)}: not limited")
    if left.late:
        found.append(f"{counted(left.late, 'request')} later than --lateness: taken for just in time")
    if made.others["keys"]:
        found.append(f"{counted(made.others['keys'], 'key')} more, with the fewest refused, are in the totals only")
    return found
