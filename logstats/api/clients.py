"""Clients: their sessions, the story of one of them, and those that look automated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.api.arguments import check_choices, options_from
from logstats.api.rows import rows_passing
from logstats.errors import UsageError
from logstats.frames import pl
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Listener

if TYPE_CHECKING:
    from logstats.clients.scan import Scan
    from logstats.clients.story import Story
    from logstats.clients.summary import Summary
    from logstats.clients.visits import Left


def session_rows(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "auto",
    gap: timedelta = timedelta(minutes=30),
    left: Left | None = None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Iterator[pl.DataFrame]:
    """The sessions of all clients: frames of `clients.visits.SESSIONS`, by client and start.

    A session is what a client (`user_key`) did without a pause of more than `gap`. Requests without a time or a client
    are counted in `left`. Raises UsageError, and what `read` raises.
    """
    from logstats.clients import visits

    options = options_from(options, more)
    check_choices(user_key, "avg", 1)
    rows = rows_passing(sources, options, visits.needs(user_key), archive, listener, interrupt, counts)
    left = left if left is not None else visits.Left()
    yield pl.DataFrame(schema=visits.SESSIONS)
    yield from visits.sessions(rows, user_key, gap, left)


def sessions(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    gap: timedelta = timedelta(minutes=30),
    counts: Counts | None = None,
    **more: Any,
) -> Summary:
    """Sessions in all: how many, how long, where they begin and end. Takes what `session_rows` takes."""
    from logstats.clients import summary, visits

    left, counts = visits.Left(), counts if counts is not None else Counts()
    made = summary.summarise(session_rows(sources, options, gap=gap, left=left, counts=counts, **more), gap, left)
    made.notes.extend(counts.caveats())
    return made


def story(
    client: str,
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "auto",
    gap: timedelta = timedelta(minutes=30),
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Story:
    """What one client did, session by session; with `geo`, from where, and with logstats[agents], by which browser.

    Raises UsageError, and what `read` raises.
    """
    from logstats.clients import story as stories
    from logstats.clients import visits
    from logstats.summaries.users import user

    options = options_from(options, more)
    check_choices(user_key, "avg", 1)
    needs = visits.needs(user_key) | {"query", "duration_ms", "client_ip"}
    computed = options.columns()
    places = computed.known_places() if options.geo else []
    if not options.filters().needs & set(places):
        options = replace(options, geo=())  # which is asked about the addresses of this client only
    counts = counts if counts is not None else Counts()
    rows = rows_passing(sources, options, needs, archive, listener, interrupt, counts)
    made = stories.tell(rows, client, user(user_key), gap)
    made.notes.extend(counts.caveats())
    if options.anonymize is not None and not made.requests:
        made.notes.append("a client is looked for by what --anonymize makes of it, not by what was logged")
    try:
        made.add_about(computed, places)
    except UsageError as error:  # the package that knows agents is not there
        made.notes.append(f"{error.what}: {error.hint}")
    return made


def scan(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "client_ip",
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Scan:
    """Clients that look automated, and those that probe for holes. Raises UsageError, and what `read` raises."""
    from logstats.clients import scan as scans

    options = options_from(options, more)
    check_choices(user_key, "avg", 1)
    counts = counts if counts is not None else Counts()
    rows = rows_passing(sources, options, scans.needs(user_key), archive, listener, interrupt, counts)
    made = scans.scan(rows, user_key)
    made.notes.extend(counts.caveats())
    return made
