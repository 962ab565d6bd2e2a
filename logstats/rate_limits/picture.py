"""A rehearsed limit as one self-contained HTML page, with a picture of what is refused over time."""

from __future__ import annotations

from logstats.rate_limits.replay import Outcome
from logstats.rate_limits.text import sections
from logstats.reports.clock import Clock
from logstats.reports.html import charts, document

COLUMNS = 600  # of the picture at most


def to_html(made: Outcome, clock: Clock, top: int) -> str:
    """The page."""
    found = sections(made, clock, top)
    if not made.over_time.height:
        return document.to_html("Rate limit", found, clock, None)
    times = [time // 1_000_000 for time in made.over_time["time"]]
    first, length = times[0], 60 * made.step
    step = length * max(1, -(-((times[-1] - first) // length + 1) // COLUMNS))
    columns = (times[-1] - first) // step + 1
    layers = {"2xx": [0] * columns, "5xx": [0] * columns}
    for time, (_, requests, refused) in zip(times, made.over_time.iter_rows(), strict=True):
        layers["2xx"][(time - first) // step] += requests - refused
        layers["5xx"][(time - first) // step] += refused
    drawing = charts.layered(clock, first, step, layers)
    words = {"2xx": "allowed", "5xx": "refused"}
    unit = "minute" if step == 60 else f"{step // 60:,} minutes"
    picture = document.Picture(f"Requests per {unit}", drawing, charts.named(words))
    return document.to_html("Rate limit", found, clock, picture)
