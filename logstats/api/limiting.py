"""Rate limits, rehearsed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.api.arguments import options_from, several
from logstats.api.rows import rows_passing
from logstats.errors import UsageError
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Listener

if TYPE_CHECKING:
    from logstats.rate_limits.replay import Outcome


def limits(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    limit: str,
    by: str | Sequence[str] = ("client_ip",),
    algorithm: str = "token-bucket",
    burst: int | None = None,
    tiers: str | Sequence[str] = (),
    fit: str | None = None,
    lateness: timedelta | None = None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Outcome:
    """A rate limit (`100/60s`), replayed over the requests of logs or an archive: which ones it would have refused.

    `by` are columns, whose values together are a key; `tiers` are other limits for some requests
    (`user_id=gold:1000/60s`); `fit` is a share (`0.1%`) for which the smallest limit is found as well. All requests are
    put in order of time. With a `lateness`, a line that comes later than that is taken for just in time.

    Raises UsageError, ExpressionError, and what `read` raises.
    """
    from logstats.rate_limits import limit as limiting
    from logstats.rate_limits.replay import needs, replay

    options = options_from(options, more)
    rules = limiting.rules(limit, tuple(several(by)), algorithm, burst, list(several(tiers)), options.times())
    asked = None if fit is None else limiting.share(fit)
    if archive is not None and lateness is not None:
        raise UsageError("--lateness is about the lines of logs: the rows of an archive are in order", "leave it out")
    counts = counts if counts is not None else Counts()
    rows = rows_passing(sources, options, needs(rules), archive, listener, interrupt, counts)
    made = replay(rows, rules, lateness, asked)
    made.notes.extend(counts.caveats())
    return made
