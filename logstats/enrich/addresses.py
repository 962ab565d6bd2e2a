"""The addresses that operators publish for their bots, which tell the genuine from those that borrow the name.

Files are as Google, Microsoft, OpenAI, Perplexity and others publish them, JSON with `prefixes` of `ipv4Prefix` or
`ipv6Prefix`, or a text with a network or an address on each line. Nothing is fetched: the files are given.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from pathlib import Path
from typing import Final

from logstats.cache import BoundedCache
from logstats.enrich import agents
from logstats.errors import UsageError
from logstats.frames import pl

GENUINE: Final = "genuine"
FALSE: Final = "false"
_HINT: Final = 'a JSON with "prefixes", as https://developers.google.com/search/apis/ipranges/googlebot.json has it'


class Networks:
    """Says which addresses lie in some networks."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._bounds: dict[int, tuple[list[int], list[int]]] = {}
        every = list(networks)
        for version, some in (
            (4, collapse_addresses(one for one in every if isinstance(one, IPv4Network))),
            (6, collapse_addresses(one for one in every if isinstance(one, IPv6Network))),
        ):
            pairs = sorted((int(one.network_address), int(one.broadcast_address)) for one in some)
            self._bounds[version] = [first for first, _ in pairs], [last for _, last in pairs]
        self._known = BoundedCache(self._verdicts)

    def verdicts(self, addresses: pl.Series) -> pl.Series:
        """`genuine` or `false` of each address; null of none. What is no address, such as a host's name, is null."""
        return self._known.lookup(addresses).to_series()

    def _verdicts(self, addresses: pl.Series) -> pl.DataFrame:
        return pl.DataFrame({"verdict": [self._verdict(text) for text in addresses]}, schema={"verdict": pl.String})

    def _verdict(self, text: str) -> str | None:
        try:
            address = ip_address(text.strip("[]").partition("%")[0])
        except ValueError:
            return None
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        firsts, lasts = self._bounds[address.version]
        place = bisect_right(firsts, int(address)) - 1
        return GENUINE if place >= 0 and int(address) <= lasts[place] else FALSE


class Published:
    """The networks of bots, from `NAME=FILE` or `FILE`, whose name is then that of the bot: googlebot.json.

    A name is that of every bot that begins with it, but for case and punctuation: `googlebot` is also Googlebot-Image.
    Raises UsageError for a file that holds no networks, and for a name that no bot has.
    """

    def __init__(self, files: Sequence[str]) -> None:
        found: dict[str, list[IPv4Network | IPv6Network]] = {}
        for text in files:
            name, equal, file = text.partition("=")
            if not equal or "/" in name:
                name, file = Path(text).stem, text
            key = _plain(name)
            if key not in map(_plain, agents.load().names()):
                raise UsageError(
                    f"--verify-bots {text}: no bot is called {name}",
                    "say whose addresses they are: --verify-bots Googlebot=common-crawlers.json",
                )
            found.setdefault(key, []).extend(networks(file))
        self._networks = {key: Networks(some) for key, some in found.items()}

    def verified(self, bots: pl.Series, addresses: pl.Series) -> pl.Series:
        """`genuine` or `false` of each bot at its address; null of bots whose addresses are not known, and of none."""
        made = pl.Series("bot_verified", [None], pl.String).new_from_index(0, len(bots))
        whose = {bot: key for bot in bots.drop_nulls().unique() if (key := self._key(bot)) is not None}
        for key in sorted(set(whose.values())):
            at = bots.is_in([bot for bot, of in whose.items() if of == key]).fill_null(value=False).arg_true()
            made = made.scatter(at, self._networks[key].verdicts(addresses[at]))
        return made

    def _key(self, bot: str) -> str | None:
        """Whose networks a bot's are: the longest name that it begins with."""
        name = _plain(bot)
        return max((key for key in self._networks if name.startswith(key)), key=len, default=None)


def networks(file: str) -> list[IPv4Network | IPv6Network]:
    """The networks in a file. Raises UsageError."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--verify-bots {file}: {(why or str(error)).lower()}", _HINT) from None
    try:
        texts = _of_json(text) if text.lstrip()[:1] in "{[" else _of_lines(text)
        found = [ip_network(one.strip(), strict=False) for one in texts]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"--verify-bots {file}: these are no networks ({error})", _HINT) from None
    if not found:
        raise UsageError(f"--verify-bots {file}: there is no network in it", _HINT)
    return found


def _of_json(text: str) -> list[str]:
    prefixes = json.loads(text)["prefixes"]
    return [prefix.get("ipv4Prefix") or prefix["ipv6Prefix"] for prefix in prefixes]


def _of_lines(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
