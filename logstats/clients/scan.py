"""Clients that look automated without saying so, and those that probe for holes, each with the signs that tell.

Requests are put in order by client and time, in a temporary folder if they are many, so that the whole of what a client
did is looked at, and memory does not grow with the input. A probe (see `probes`) is a sign that stands alone. The
others are weak: people behind one address, an app, a slow day can have any of them, so two are needed, and a client
that says in its user agent what it is (a crawler, a library) is not listed for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from datetime import datetime
from typing import Any, Final

from logstats import schema
from logstats.clients.pages import is_asset, is_page
from logstats.clients.probes import kinds, probes
from logstats.clients.summary import iso
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.ordered import Ordered
from logstats.summaries.names import USER_KEYS
from logstats.summaries.users import user

MOST: Final = 500_000  # requests of one client that are looked at
LISTED: Final = 10_000  # clients
FAST: Final = 20  # requests in ten seconds, assets aside
WINDOW: Final = 10  # seconds
PATHS: Final = 40  # distinct pages, nine tenths of all that it asked for
LACKING: Final = 20  # answers with 404, half of all
STEADY: Final = 30  # pauses of two seconds or more that deviate by less than a tenth
PAGES: Final = 20  # pages without a single asset, of a site whose other clients ask for assets
FORMS: Final = 5  # forms to sign in or up that were sent
GUESSES: Final = 8  # the same, when they are half of all that it asked for: stands alone
HASTE: Final = 4  # seconds, from a form to its answer with nothing in between; twice: stands alone
NOISE: Final = 5  # requests that are not HTTP, half of all: stands alone
AGENTS: Final = 10  # distinct user agents, half as many as requests
_DECLARED: Final = (
    r"(?i)bot\b|bot[/;_ -]|crawl|spider|slurp|fetch|monitor|check|uptime|probe|feed|rss|preview|archiv|scrap|"
    r"facebookexternalhit|curl|wget|python|java/|okhttp|go-http|node|axios|ruby|perl|php|libwww|httpclient|postman|"
    r"insomnia|headless|lighthouse|http[s]?://"
)
_FORM: Final = r"(?i)(?:log-?in|sign-?in|sign-?up|join_form|register|lost_?password|xmlrpc\.php)"


@dataclass(frozen=True, slots=True)
class Sign:
    """What tells: its name, the figure, and in words what that is."""

    name: str
    requests: int
    words: str
    example: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"sign": self.name, "requests": self.requests, "words": self.words, "example": self.example}


@dataclass(frozen=True, slots=True)
class Client:
    """A client that is listed, with its signs, the gravest first."""

    client: str
    requests: int
    bytes: int
    first: datetime | None
    last: datetime | None
    user_agent: str | None
    declared: bool
    signs: tuple[Sign, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "client": self.client,
            "requests": self.requests,
            "bytes": self.bytes,
            "first": iso(self.first),
            "last": iso(self.last),
            "user_agent": self.user_agent,
            "declared": self.declared,
            "signs": [sign.to_dict() for sign in self.signs],
        }


@dataclass(slots=True)
class Scan:
    """All clients, and those that are listed, by requests. `probes` are requests by kind."""

    requests: int = 0
    clients: int = 0
    unknown: int = 0
    total: int = 0
    listed_requests: int = 0
    probes: dict[str, int] = field(default_factory=dict)
    listed: list[Client] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """As JSON."""
        return {
            "requests": self.requests,
            "clients": self.clients,
            "without_client": self.unknown,
            "listed_total": self.total,
            "listed_requests": self.listed_requests,
            "probes": {
                kind: {"title": probes()[kind].title, "requests": number} for kind, number in self.probes.items()
            },
            "listed": [client.to_dict() for client in self.listed[:top]],
            "notes": self.notes,
        }

    def rows(self) -> pl.DataFrame:
        """A row for each sign of each client that is listed."""
        kinds = {"client": pl.String, "requests": pl.Int64, "sign": pl.String, "of": pl.Int64, "words": pl.String}
        rows = [
            (one.client, one.requests, sign.name, sign.requests, sign.words, sign.example, one.user_agent)
            for one in self.listed
            for sign in one.signs
        ]
        return pl.DataFrame(rows, schema={**kinds, "example": pl.String, "user_agent": pl.String}, orient="row")


def needs(user_key: str) -> frozenset[str]:
    """The columns of the request schema that this takes."""
    columns = {"kind", "timestamp", "method", "path", "query", "endpoint", "status", "bytes", "user_agent", "referer"}
    return USER_KEYS[user_key] | columns


def scan(rows: Iterable[pl.DataFrame], user_key: str) -> Scan:
    """Look at all requests. `rows` are frames of `needs`, in any order."""
    made = Scan()
    counted: dict[str, int] = {}
    assets = 0
    with Ordered(("client", "time")) as ordered:
        for frame in rows:
            requests = _requests(frame, user_key)
            made.requests += requests.height
            known = requests.drop_nulls("client")
            made.unknown += requests.height - known.height
            assets += int(known["asset"].sum())
            for kind, number in known.drop_nulls("probe").group_by("probe").len().iter_rows():
                counted[kind] = counted.get(kind, 0) + number
            ordered.add(known)
        has_assets = assets >= made.requests / 20
        kept: list[Client] = []
        for whole, beyond in _whole_clients(ordered.frames()):
            for client in _judged(whole, beyond, has_assets, made):
                made.total += 1
                made.listed_requests += client.requests
                kept.append(client)
            if len(kept) > 2 * LISTED:
                kept = _ranked(kept)
    made.listed = _ranked(kept)
    made.probes = {kind: counted[kind] for kind in probes() if kind in counted}
    if made.total > LISTED:
        made.notes.append(f"{made.total:,} clients are listed, of which the {LISTED:,} with most requests are kept")
    if made.requests and not has_assets:
        made.notes.append("hardly any request is for a style, script or picture: to ask for none is no sign")
    return made


def _ranked(clients: list[Client]) -> list[Client]:
    return sorted(clients, key=lambda one: (-one.requests, one.client))[:LISTED]


def _requests(frame: pl.DataFrame, user_key: str) -> pl.DataFrame:
    """What is kept of each request; its target only if it is a probe."""
    told = frame.filter(pl.col("kind") == "request").with_columns(
        pl.concat_str([pl.col("path").fill_null("-"), pl.lit("?") + pl.col("query")], ignore_nulls=True).alias("target")
    )
    told = told.with_columns(kinds(told).alias("probe"))
    posted = (pl.col("method") == "POST") & pl.col("path").str.contains(_FORM)
    return told.select(
        user(user_key).alias("client"),
        pl.col("timestamp").alias("time"),
        is_page().alias("page"),
        (~is_asset() & pl.col("path").is_not_null()).alias("hit"),
        is_asset().alias("asset"),
        pl.col("target").hash().alias("where"),
        pl.col("path").hash().alias("path"),
        (pl.col("endpoint") == schema.MALFORMED).fill_null(value=False).alias("noise"),
        pl.col("user_agent").hash().alias("agent"),
        (pl.col("status") == 404).fill_null(value=False).alias("lacking"),
        posted.fill_null(value=False).alias("form"),
        pl.col("bytes").fill_null(0),
        "user_agent",
        "probe",
        pl.when(pl.col("probe").is_not_null()).then("target").alias("target"),
    )


def _whole_clients(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, dict[str, int]]]:
    """Frames that hold all of their clients; of a client with more than `MOST` requests the first ones, and how many
    more there are."""
    held: list[pl.DataFrame] = []
    size = 0
    beyond: dict[str, int] = {}
    for frame in frames:
        last = frame["client"][-1]
        start = frame["client"].search_sorted(last) if frame["client"][0] != last else 0
        if start:
            yield pl.concat([*held, frame[:start]]), beyond
            held, size, beyond = [], 0, {}
        elif held and held[-1]["client"][-1] != last:
            yield pl.concat(held), beyond
            held, size, beyond = [], 0, {}
        rest = frame[start:]
        room = max(MOST - size, 0)
        if rest.height > room:
            beyond[last] = beyond.get(last, 0) + rest.height - room
        if room:
            held.append(rest[:room])
        size += rest.height
    if held:
        yield pl.concat(held), beyond


def _judged(requests: pl.DataFrame, beyond: dict[str, int], has_assets: bool, made: Scan) -> Iterator[Client]:
    """The clients of a frame that are listed."""
    gap = pl.col("time").diff().dt.total_microseconds().over("client") / 1e6
    window = pl.col("time").dt.epoch("s") // WINDOW
    in_window = pl.when("hit").then(pl.col("hit").sum().over("client", window))
    before = pl.col("path").shift().over("client"), pl.col("form").shift().over("client")
    hasty = pl.col("form") & (before[0] == pl.col("path")) & ~before[1] & (gap <= HASTE)
    figures = (
        requests.with_columns(gap=gap, in_window=in_window, hasty=hasty.fill_null(value=False))
        .group_by("client", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("requests"),
            pl.col("bytes").sum(),
            first=pl.col("time").min(),
            last=pl.col("time").max(),
            user_agent=pl.col("user_agent").drop_nulls().mode().sort().first(),
            pages=pl.col("page").sum(),
            assets=pl.col("asset").sum(),
            paths=pl.col("where").n_unique(),
            lacking=pl.col("lacking").sum(),
            forms=pl.col("form").sum(),
            hasty=pl.col("hasty").sum(),
            noise=pl.col("noise").sum(),
            agents=pl.col("agent").n_unique(),
            most=pl.col("in_window").max().fill_null(0),
            pauses=(pl.col("gap") >= 2).sum(),
            pause=pl.col("gap").filter(pl.col("gap") >= 2).mean(),
            spread=pl.col("gap").filter(pl.col("gap") >= 2).std(),
        )
        .with_columns(declared=pl.col("user_agent").str.contains(_DECLARED).fill_null(value=False))
    )
    made.clients += figures.height
    probed: dict[str, list[Sign]] = {}
    found = requests.drop_nulls("probe").group_by("client", "probe").agg(pl.len(), pl.col("target").first())
    for client, kind, number, target in found.sort("len", "probe", descending=[True, False]).iter_rows():
        probed.setdefault(client, []).append(Sign(kind, number, probes()[kind].title, target))
    suspicious = pl.any_horizontal(
        pl.col("client").is_in([*probed]), ~pl.col("declared") & (pl.sum_horizontal(_weights(has_assets).values()) >= 2)
    )
    for row in figures.filter(suspicious).iter_rows(named=True):
        signs = [*probed.get(row["client"], []), *([] if row["declared"] else _behaviour(row, has_assets))]
        yield Client(
            row["client"],
            row["requests"] + beyond.get(row["client"], 0),
            row["bytes"],
            row["first"],
            row["last"],
            row["user_agent"],
            row["declared"],
            tuple(signs),
        )


def _weights(has_assets: bool) -> dict[str, pl.Expr]:
    """How much each sign weighs, over the figures of a client: 0 if it is not there, 2 if it stands alone."""
    number = pl.col("requests")
    there = {
        "not_http": 2 * ((pl.col("noise") >= NOISE) & (pl.col("noise") * 2 >= number)).cast(pl.Int8),
        "forms": (pl.col("forms") >= FORMS).cast(pl.Int8)
        + ((pl.col("forms") >= GUESSES) & (pl.col("forms") * 2 >= number)).cast(pl.Int8),
        "hasty": pl.col("hasty").clip(0, 2),
        "fast": pl.col("most") >= FAST,
        "many_paths": (pl.col("paths") >= PATHS) & (pl.col("paths") * 10 >= number * 9),
        "not_found": (pl.col("lacking") >= LACKING) & (pl.col("lacking") * 2 >= number),
        "steady": (pl.col("pauses") >= STEADY) & (pl.col("spread") < pl.col("pause") / 10),
        "agents": (pl.col("agents") >= AGENTS) & (pl.col("agents") * 2 >= number),
    }
    if has_assets:
        there["no_assets"] = (pl.col("pages") >= PAGES) & (pl.col("assets") == 0)
    return {name: sign.cast(pl.Int8).fill_null(0).alias(name) for name, sign in there.items()}


def _behaviour(row: dict[str, Any], has_assets: bool) -> list[Sign]:
    there = pl.DataFrame([row], infer_schema_length=None).select(_weights(has_assets).values()).row(0, named=True)
    words = {
        "fast": (row["most"], f"{row['most']:,} requests within {WINDOW} seconds"),
        "many_paths": (row["paths"], f"{row['paths']:,} distinct paths, hardly one twice"),
        "not_found": (row["lacking"], f"{row['lacking']:,} of {row['requests']:,} answers are 404"),
        "steady": (
            row["pauses"],
            f"one every {row['pause'] or 0:.3g} s, give or take {row['spread'] or 0:.2g} s",
        ),
        "not_http": (row["noise"], f"{row['noise']:,} requests are not HTTP"),
        "hasty": (row["hasty"], f"{row['hasty']:,} forms sent within {HASTE} seconds of being asked for"),
        "agents": (row["agents"], f"{row['agents']:,} user agents in {row['requests']:,} requests"),
        "forms": (row["forms"], f"{row['forms']:,} forms to sign in or up were sent"),
        "no_assets": (row["pages"], f"{row['pages']:,} pages, and none of what they are made of"),
    }
    return [Sign(name, *words[name]) for name, is_there in there.items() if is_there]
