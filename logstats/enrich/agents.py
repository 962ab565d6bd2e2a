"""Who a user agent says it is: a browser, its system and its device, by ua-parser; or a bot.

Bots are those of two lists. crawler-user-agents knows most of them, by patterns with tags; of AI crawlers,
ai-crawler-index says what they fetch pages for. What neither knows is a bot if ua-parser takes it for one, as it does
where an agent says that it is a crawler. The patterns of all three are matched by ua-parser's core in Rust, in time
that is linear in the text. A user agent is what a client claims: `addresses` tells the genuine bots from the others.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from logstats.errors import UsageError
from logstats.frames import pl

if TYPE_CHECKING:
    from ua_parser.regex import Resolver
    from ua_parser_rs import UserAgentExtractor

READ: Final = ("browser", "os", "device")
BOTS: Final = ("bot", "bot_class")
INSTALL: Final = "pip install 'logstats[agents]'"
LONGEST: Final = 2_000  # characters of a user agent that are looked at

# The values of `bot_class`, by the tags of crawler-user-agents …
CLASSES: Final = {
    "search-engine": "search engine",
    "ai-crawler": "ai crawler",
    "monitoring": "monitor",
    "seo": "seo",
    "feed-reader": "feed",
    "scanner": "scanner",
    "http-library": "library",
    "browser-automation": "headless",
    "social-preview": "preview",
    "advertising": "advertising",
    "archiver": "archive",
    "academic": "academic",
}
UNLISTED: Final = "other"
# … and by the categories of ai-crawler-index: pages to train models on, an index that answers are made of, one page
# because a person asks for it.
AI: Final = {
    "ai-training": "ai crawler",
    "dataset": "ai crawler",
    "ai-search": "ai search",
    "user-fetch": "ai user",
}
_NO_AI: Final = frozenset({"Google-Read-Aloud", "YandexCalendar"})  # fetch a page for a person, but for no model
_GENERAL: Final = frozenset({"http-library", "browser-automation"})  # what a bot is made with, if it says no more
# Probes of orchestrators and load balancers, and tools of developers, which neither list has.
_FURTHER: Final = (
    ("kube-probe", "monitor"),
    ("ELB-HealthChecker", "monitor"),
    ("GoogleHC", "monitor"),
    ("Envoy/HC", "monitor"),
    ("Consul Health Check", "monitor"),
    ("Prometheus", "monitor"),
    ("PostmanRuntime", "library"),
    ("insomnia", "library"),
    ("k6", "library"),
    ("ApacheBench", "library"),
    ("Java", "library"),
    ("urlgrabber", "library"),
)
_BROWSERS: Final = frozenset({"Chrome", "Mobile Safari", "Safari", "Firefox", "Edge", "IE", "Opera", "Android"})
_WEB_VIEW: Final = "Mobile Safari UI/WKWebView"  # the one name that ua-parser itself writes with a slash
_NAME: Final = 80  # characters of a name; some patterns match any text between two words
_AROUND: Final = " /();:"
_VERSIONED: Final = re.compile(r"([^/@]+)/\d")


class Agents:
    """Reads user agents; use `load` to get it. Raises UsageError if the lists are not installed."""

    def __init__(self) -> None:
        try:
            import ai_crawler_index
            import crawleruseragents
            import ua_parser.regex  # noqa: F401 (needs the core in Rust)
        except ImportError as error:
            raise UsageError(
                f"what user agents mean is in packages that are not installed ({error.name})", INSTALL
            ) from None
        self._names = [record["name"] for record in ai_crawler_index.CRAWLERS]
        self._known: list[dict[str, Any]] = crawleruseragents.CRAWLER_USER_AGENTS_DATA
        self._ai: list[dict[str, Any]] = [
            record
            for record in ai_crawler_index.CRAWLERS
            if record["category"] in AI and record["name"] not in _NO_AI and not record["ua"].startswith("(")
        ]

    def read(self, agents: pl.Series) -> pl.DataFrame:
        """(browser, os, device) of each user agent, as ua-parser names them; null for what it does not know."""
        from ua_parser import Domain

        found = [self._parser(text[:LONGEST], Domain.ALL) for text in agents]
        families = dict(zip(READ, ("user_agent", "os", "device"), strict=True))
        return pl.DataFrame(
            [pl.Series(name, [_family(getattr(one, of)) for one in found], pl.String) for name, of in families.items()]
        )

    def bots(self, agents: pl.Series) -> pl.DataFrame:
        """(bot, bot_class) of each user agent: the name and the class, null for what is not known to be a bot."""
        found = [self._bot(text[:LONGEST]) for text in agents]
        return pl.DataFrame(found, schema=dict.fromkeys(BOTS, pl.String), orient="row")

    def names(self) -> list[str]:
        """The names of bots, as far as the lists tell; of the first list, patterns that match them."""
        return [*self._names, *(entry["pattern"] for entry in self._known)]

    def _bot(self, text: str) -> tuple[str | None, str | None]:
        if (ai := self._of_ai.extract(text)) is not None:
            return ai.family, AI[self._ai[int(ai.major or 0)]["category"]]
        if (match := self._of_list.extract(text)) is not None:
            name = self._name(match.family.strip(_AROUND), text)[:_NAME]
            return name, _class(name, self._known[int(match.major or 0)]["tags"])
        for name, kind in _FURTHER:
            if text.startswith(name) and not text[len(name) : len(name) + 1].isalnum():
                return name, kind
        device = self._parser.de.extract(text)
        if device is not None and device.family == "Spider":
            return self._family(text) or UNLISTED, UNLISTED
        return None, None

    def _name(self, matched: str, text: str) -> str:
        """The name in what a pattern matched, which may be an address."""
        if versioned := _VERSIONED.match(matched):
            return versioned[1]
        return (self._family(text) or matched) if set("/@") & set(matched) else matched

    def _family(self, text: str) -> str | None:
        """How ua-parser names a bot; None if it does not."""
        device, agent = self._parser.de.extract(text), self._parser.ua.extract(text)
        if device is None or device.family != "Spider" or agent is None:
            return None
        family = str(agent.family)
        return None if family in _BROWSERS or "/" in family else family

    @cached_property
    def _parser(self) -> Resolver:
        from ua_parser.loaders import load_builtins
        from ua_parser.regex import Resolver

        return Resolver(load_builtins())

    @cached_property
    def _of_list(self) -> UserAgentExtractor:
        """Finds the first pattern that matches: its text as `family`, its place in the list as `major`."""
        order = sorted(range(len(self._known)), key=lambda place: bool(_GENERAL & set(self._known[place]["tags"])))
        return _extractor((f"({self._known[place]['pattern']})", None, place) for place in order)

    @cached_property
    def _of_ai(self) -> UserAgentExtractor:
        """The same of AI crawlers, of which the longest name counts (`Claude-SearchBot` before `ClaudeBot`)."""
        order = sorted(range(len(self._ai)), key=lambda place: -len(self._ai[place]["ua"]))
        edge = "[^a-z0-9]"
        return _extractor(
            (
                f"(?i)(?:^|{edge})(?:{re.escape(self._ai[place]['ua'])})(?:$|{edge})",
                self._ai[place]["name"],
                place,
            )
            for place in order
        )


@cache
def load() -> Agents:
    """The lists, once in a process: to read them takes half a second."""
    return Agents()


def _family(part: Any) -> str | None:
    """The family of a browser, system or device; a part of an address is none."""
    return None if part is None or ("/" in part.family and part.family != _WEB_VIEW) else part.family


def _extractor(rules: Any) -> UserAgentExtractor:
    """The patterns, each with what `family` and `major` of a match are."""
    from ua_parser_rs import UserAgentExtractor

    return UserAgentExtractor((pattern, family, str(major), None, None, None) for pattern, family, major in rules)


def _class(name: str, tags: list[str]) -> str:
    """One class for the tags of a bot. By a convention, agents that end in -User fetch what a person asks for."""
    if "ai-crawler" not in tags:
        return CLASSES.get(tags[0], UNLISTED) if tags else UNLISTED
    return "ai user" if name.lower().endswith("user") else "ai search" if "search-engine" in tags else "ai crawler"
