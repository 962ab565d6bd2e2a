"""What a user agent says: browsers, systems, devices and bots as columns, wherever columns go."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from archives import SAMPLES
from program import invoke
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import logstats
from logstats import api
from logstats.archive.create import init
from logstats.enrich.agents import AI, CLASSES, LONGEST, UNLISTED, Agents, load
from logstats.enrich.computed import Columns
from logstats.errors import UsageError
from logstats.expressions.columns import VALUES

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
WEBKIT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko"
# The strings that operators publish for their bots, and what these are for by the same pages.
PUBLISHED = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": ("Googlebot", "search engine"),
    f"{WEBKIT}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/131.0.0.0 Safari/537.36": (
        "bingbot",
        "search engine",
    ),
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)": ("YandexBot", "search engine"),
    f"{WEBKIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)": ("GPTBot", "ai crawler"),
    "CCBot/2.0 (https://commoncrawl.org/faq/)": ("CCBot", "ai crawler"),
    f"{WEBKIT}); compatible; OAI-SearchBot/1.0; +openai.com/searchbot": ("OAI-SearchBot", "ai search"),
    f"{WEBKIT}; compatible; Claude-SearchBot/1.0; +claude@anthropic.com)": ("Claude-SearchBot", "ai search"),
    f"{WEBKIT}); compatible; ChatGPT-User/1.0; +https://openai.com/bot": ("ChatGPT-User", "ai user"),
    f"{WEBKIT}; compatible; Perplexity-User/1.0; +https://perplexity.ai)": ("Perplexity-User", "ai user"),
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)": ("UptimeRobot", "monitor"),
    "kube-probe/1.31": ("kube-probe", "monitor"),
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)": ("AhrefsBot", "seo"),
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)": ("Feedly", "feed"),
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": ("facebookexternalhit", "preview"),
    "Mozilla/5.0 zgrab/0.x": ("zgrab", "scanner"),
    "curl/8.5.0": ("curl", "library"),
    "python-requests/2.32.3": ("python-requests", "library"),
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36": (
        "HeadlessChrome",
        "headless",
    ),
    "AdsBot-Google (+http://www.google.com/adsbot.html)": ("AdsBot-Google", "advertising"),
    "Mozilla/5.0 (compatible; BeetleBot; )": ("BeetleBot", "other"),
}
PEOPLE = {  # browser, os and device, as ua-parser's own tests name them
    CHROME: ("Chrome", "Windows", None),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0": (
        "Firefox",
        "Mac OS X",
        "Mac",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1": ("Mobile Safari", "iOS", "iPhone"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 15_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148": (
        "Mobile Safari UI/WKWebView",
        "iOS",
        "iPhone",
    ),
    "Mozilla/5.0 (Linux; Android 10; CUBOT_X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.4896.127 Mobile "
    "Safari/537.36": ("Chrome Mobile", "Android", "CUBOT_X30"),
}


@pytest.fixture(scope="module")
def agents() -> Agents:
    return load()


def lines(*user_agents: str) -> str:
    start = '192.0.2.{n} - - [17/Jan/2025:10:00:{n:02} +0000] "GET /p/{n} HTTP/1.1" 200 10{n} "-" "{agent}"\n'
    return "".join(start.format(n=n, agent=agent) for n, agent in enumerate(user_agents))


@pytest.fixture
def log(tmp_path: Path) -> str:
    (tmp_path / "a.log").write_text(lines(*PUBLISHED, *PEOPLE, "-"))
    return str(tmp_path / "a.log")


def test_published_agents_have_their_names_and_classes(agents: Agents) -> None:
    assert dict(zip(PUBLISHED, agents.bots(pl.Series(list(PUBLISHED))).iter_rows(), strict=True)) == PUBLISHED


def test_people_are_no_bots_and_have_browser_system_and_device(agents: Agents) -> None:
    people = pl.Series(list(PEOPLE))
    assert agents.bots(people).null_count().row(0) == (len(PEOPLE), len(PEOPLE))
    assert dict(zip(PEOPLE, agents.read(people).iter_rows(), strict=True)) == PEOPLE


def test_all_that_a_list_knows_is_found_and_every_class_has_a_name(agents: Agents) -> None:
    import crawleruseragents as known

    some = [(entry["tags"], text) for entry in known.CRAWLER_USER_AGENTS_DATA for text in entry["instances"][:1]]
    assert len(some) > 1000
    found = agents.bots(pl.Series([text for _, text in some]))
    assert found["bot"].null_count() == 0
    assert set(found["bot_class"]) <= {*CLASSES.values(), *AI.values(), UNLISTED}
    assert {*CLASSES.values(), *AI.values(), UNLISTED} == set(VALUES["bot_class"]), "else a filter of it is refused"
    ai = [kind.startswith("ai ") for kind in found["bot_class"]]
    assert not [text for (tags, text), is_ai in zip(some, ai, strict=True) if "ai-crawler" in tags and not is_ai]


def test_hostile_agents_are_read_in_time_that_is_linear(agents: Agents) -> None:
    texts = ["(" * 1_000_000, "bot" * 500_000, "a/1 " * 300_000, "\x1b[2J\x00", "=cmd()", "é" * 1_000_000, ""]
    assert agents.bots(pl.Series(texts)).height == agents.read(pl.Series(texts)).height == len(texts)
    far = "x" * LONGEST + " GPTBot/1.0"
    assert agents.bots(pl.Series([far])).row(0) == (None, None)


def test_each_agent_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, seen = Columns(), list[str]()
    read = Agents.bots
    monkeypatch.setattr(Agents, "bots", lambda self, texts: (seen.extend(texts), read(self, texts))[1])
    frame = pl.DataFrame({"user_agent": ["curl/8", None, "curl/8", CHROME]})
    for _ in range(2):
        found = columns.add(frame, ["bot", "bot_class"])
    assert found["bot"].to_list() == ["curl", None, "curl", None]
    assert seen == ["curl/8", CHROME]


def test_bots_are_left_out_or_alone_and_every_line_is_accounted_for(log: str) -> None:
    everything, without, only = (logstats.report([log], bots=bots) for bots in (None, "exclude", "only"))
    assert (only.requests, without.requests) == (len(PUBLISHED), len(PEOPLE) + 1)
    assert only.requests + without.requests == everything.requests == only.filtered + without.filtered
    assert without.filters == {"bots": "exclude"}
    with pytest.raises(UsageError, match="is not known"):
        logstats.report([log], bots="none")


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("bot_class = ai*", {name for name, kind in PUBLISHED.values() if kind.startswith("ai")}),
        ('bot_class = "ai crawler"', {"GPTBot", "CCBot"}),
        ("bot in (curl, GPTBot)", {"curl", "GPTBot"}),
        ("bot and os is null and bytes < 102", {"Googlebot", "bingbot"}),
    ],
)
def test_an_expression_names_them_as_any_column(log: str, where: str, names: set[str]) -> None:
    report = logstats.report([log], where=where, by=["bot"])
    assert {row.value for row in report.breakdowns["bot"]} == names
    rows = pl.concat(logstats.read([log], where=where, columns=["bot", "device"]))
    assert set(rows["bot"]) == names


def test_a_ranking_is_the_same_of_logs_summaries_and_an_archive(log: str, tmp_path: Path) -> None:
    asked = ("--by", "bot_class", "--by", "browser", "--where", "not bot = curl or bot is null", "-o", "json", "-q")
    of_log = json.loads(invoke("report", log, *asked).stdout)["breakdowns"]
    counted = {row["value"]: row["requests"] for row in of_log["bot_class"]}
    kinds = [kind for name, kind in PUBLISHED.values() if name != "curl"]
    assert counted == {kind: kinds.count(kind) for kind in kinds}
    init(tmp_path / "archive")
    api.add(log, tmp_path / "archive")
    from_rows = invoke("report", "--archive", str(tmp_path / "archive"), *asked)
    assert json.loads(from_rows.stdout)["breakdowns"] == of_log
    summary = str(tmp_path / "s.parquet")
    assert invoke("report", log, *asked[:6], "-q", "-o", "summary", "--out", summary).returncode == 0
    merged = invoke("merge", summary, "--by", "bot_class", "--by", "browser", "-o", "json", "-q")
    assert json.loads(merged.stdout)["breakdowns"] == of_log
    found = invoke("search", "--archive", str(tmp_path / "archive"), "--where", "bot = GPTBot", "--count", "-q")
    assert found.stdout.strip() == b"1"
    limited = invoke("limits", log, "--limit", "1/1h", "--by", "bot_class", "-o", "json", "-q")
    assert json.loads(limited.stdout)["requests"] == len(PUBLISHED)  # those that say who they are
    gate = invoke("report", log, "-q", "--fail-if", "bot_class = scanner: requests > 0", "-o", "json")
    assert gate.returncode == 3


def test_what_has_to_be_installed_is_said_before_a_line_is_read(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load.cache_clear()
    monkeypatch.setitem(sys.modules, "crawleruseragents", None)
    ran = invoke("report", log, "--bots", "exclude")
    assert ran.returncode == 2
    assert b"pip install 'logstats[agents]'" in ran.stderr
    assert invoke("report", str(SAMPLES / "combined.log"), "-q", "-o", "json").returncode == 0


def test_anonymizing_does_not_change_who_says_what(log: str) -> None:
    plain, masked = (
        pl.concat(logstats.read([log], anonymize=how, columns=["browser", "bot", "bot_class"])) for how in (None, "ip")
    )
    assert plain["browser"].drop_nulls().len() > len(PEOPLE)
    assert masked.equals(plain)


GOOGLE = (
    '{"creationTime": "2025-01-01", "prefixes": [{"ipv6Prefix": "2001:db8:10::/64"}, {"ipv4Prefix": "192.0.2.0/30"}]}'
)
WHO = {  # agent: who says so
    CHROME: "people",
    "-": "no user agent",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "bots",
    "Googlebot-Image/1.0": "bots",
    "CCBot/2.0 (https://commoncrawl.org/faq/)": "AI crawlers",
    "Mozilla/5.0 (compatible; ChatGPT-User/1.0; +https://openai.com/bot)": "AI crawlers",
}
ADDRESSES = {  # whether it is one of Google's
    "192.0.2.3": True, "192.0.2.4": False, "2001:db8:10::5": True, "2001:db8:11::": False, "::ffff:192.0.2.1": True,
    "crawl.example.com": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every agent from every address, twice as often from the next, each for one of three endpoints."""
    folder = tmp_path_factory.mktemp("crowd")
    line = '{ip} - - [17/Jan/2025:10:{n:02}:00 +0000] "GET /p{p} HTTP/1.1" 200 {size} "-" "{agent}"\n'
    pairs = [(ip, agent) for ip in ADDRESSES for agent in WHO]
    (folder / "a.log").write_text(
        "".join(
            line.format(ip=ip, n=n, p=n % 3, size=100 + n, agent=agent) * (n % 4 + 1)
            for n, (ip, agent) in enumerate(pairs)
        )
    )
    (folder / "googlebot.json").write_text(GOOGLE)
    return folder


def counted(folder: Path, *, verified: bool) -> dict[str, list[tuple[str, str, int]]]:
    """(agent, endpoint, bytes) of each request, by who made it: read off the lines with the standard library alone."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for text in (folder / "a.log").read_text().splitlines():
        ip, (_, request, size, _, _, agent, _) = text.split()[0], text.split('"')
        who = WHO[agent]
        if verified and "Googlebot" in agent and ADDRESSES[ip] is False:
            who = "false bots"
        found.setdefault(who, []).append((agent, request.rpartition(" ")[0], int(size.split()[1])))
    return found


@pytest.mark.parametrize("verified", [False, True])
def test_people_bots_and_ai_crawlers_and_what_they_ask_for(crowd: Path, verified: bool) -> None:
    files = [str(crowd / "googlebot.json")] if verified else []
    tables = logstats.report([crowd / "a.log"], agents=True, verify_bots=files).tables
    expected = counted(crowd, verified=verified)
    total = sum(map(len, expected.values()))
    size = sum(bytes for some in expected.values() for *_, bytes in some)
    rows = tables["agents"].to_list()
    assert {row["agents"]: row["requests"] for row in rows} == {who: len(some) for who, some in expected.items()}
    for row in rows:
        own = sum(bytes for *_, bytes in expected[row["agents"]])
        assert row["bytes"] == own
        assert (row["share"], row["bytes_share"]) == pytest.approx((row["requests"] / total, own / size))
    automated = [(who, *one) for who in ("bots", "AI crawlers", "false bots") for one in expected.get(who, [])]
    assert sum(row["requests"] for row in tables["bots"].to_list()) == len(automated)
    for row in tables["agent_endpoints"].to_list():
        asked = [who for who, some in expected.items() for _, endpoint, _ in some if endpoint == row["endpoint"]]
        for name, who in {
            "people": "people",
            "bots": "bots",
            "ai_crawlers": "AI crawlers",
            "no_agent": "no user agent",
        }.items():
            assert row[name] == asked.count(who)
        assert row.get("false_bots", 0) == asked.count("false bots")
        assert row["bots_bytes"] == sum(bytes for *_, endpoint, bytes in automated if endpoint == row["endpoint"])


def test_a_bot_is_genuine_where_its_operator_says_so(crowd: Path) -> None:
    for file in (f"{crowd}/googlebot.json", f"Googlebot={crowd}/ranges.txt"):
        (crowd / "ranges.txt").write_text("# Google's\n192.0.2.0/30\n\n2001:db8:10::/64\n")
        rows = pl.concat(
            logstats.read([crowd / "a.log"], columns=["client_ip", "bot", "bot_verified"], verify_bots=[file])
        )
        verdict = {True: "genuine", False: "false", None: None}
        for ip, bot, found in rows.select("client_ip", "bot", "bot_verified").iter_rows():
            assert found == (verdict[ADDRESSES[ip]] if bot in ("Googlebot", "Googlebot-Image") else None)
    false = logstats.report([crowd / "a.log"], where="bot_verified = false", verify_bots=[f"{crowd}/googlebot.json"])
    assert false.requests == len(counted(crowd, verified=True)["false bots"])


def test_summaries_and_archives_tell_the_same(crowd: Path, tmp_path: Path) -> None:
    log, ranges, names = str(crowd / "a.log"), str(crowd / "googlebot.json"), ("agents", "bots", "agent_endpoints")

    def tables(*arguments: str) -> list[object]:
        ran = invoke(*arguments, "-o", "json", "-q")
        assert ran.returncode == 0, ran.stderr
        return [json.loads(ran.stdout)[name] for name in names]

    expected = tables("report", log, "--verify-bots", ranges)
    init(tmp_path / "archive")
    api.add(log, tmp_path / "archive")
    assert tables("report", "--archive", str(tmp_path / "archive"), "--verify-bots", ranges) == expected
    made = [str(tmp_path / f"{name}.parquet") for name in ("with", "without", "months")]
    for out, more in ((made[0], ["--verify-bots", ranges]), (made[1], [])):
        assert invoke("report", log, "-q", "-o", "summary", "--out", out, *more).returncode == 0
    assert tables("merge", made[0], "--agents") == expected
    assert invoke("merge", made[0], "-q", "-o", "summary", "--out", made[2]).returncode == 0
    assert tables("merge", made[2], "--agents") == expected
    refused = invoke("merge", made[1], "--agents", "-q")
    assert refused.returncode == 2 and b"does not say who is a bot" in refused.stderr
    assert b"--verify-bots" in invoke("merge", made[0], made[1], "-q").stderr


def test_every_output_has_the_section(crowd: Path) -> None:
    log = str(crowd / "a.log")
    for output in ("table", "markdown", "html"):
        text = invoke("report", log, "--agents", "-q", "-o", output, env={"COLUMNS": "200"}).stdout.decode()
        assert all(one in text for one in ("AI crawlers", "no user agent", "CCBot", "ChatGPT-User", "GET /p0")), output
    metrics = invoke("report", log, "--agents", "-q", "-o", "openmetrics").stdout.decode()
    families = {one.name: one for one in text_string_to_metric_families(metrics)}
    requests = {one.labels["agents"]: one.value for one in families["logstats_agent_requests"].samples}
    assert requests == {who: len(some) for who, some in counted(crowd, verified=False).items()}
    csv = invoke("report", log, "-q", "-o", "csv", "--table", "bots").stdout.decode().splitlines()
    assert csv[0] == "bot,bot_class,requests,share,bytes,bytes_share"
    assert len(csv) == 1 + 4
    assert "agents" not in json.loads(invoke("report", log, "-q", "-o", "json").stdout)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "googlebot.json"),
        ("{", "googlebot.json"),
        ('{"prefixes": {}}', "googlebot.json"),
        ('{"prefixes": [{"ipv4Prefix": "no"}]}', "googlebot.json"),
        ('{"prefixes": [{}]}', "googlebot.json"),
        ("[" * 100_000, "googlebot.json"),
        ("\ufeff<html>", "googlebot.json"),
        (GOOGLE, "ranges.json"),
        (GOOGLE, "x.json"),
    ],
)
def test_a_file_without_networks_or_of_nobody_is_refused(log: str, tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / name).write_text(content)
    ran = invoke("report", log, "--verify-bots", str(tmp_path / name))
    assert ran.returncode == 2
    assert b"--verify-bots" in ran.stderr and b"Traceback" not in ran.stderr


def test_what_would_be_ignored_is_refused(log: str, tmp_path: Path) -> None:
    (tmp_path / "gptbot.json").write_text(GOOGLE)
    for command in (["parse", log], ["archive", "add", log, "--archive", str(tmp_path)]):
        assert invoke(*command, "--verify-bots", str(tmp_path / "gptbot.json")).returncode == 2
    assert invoke("report", log, "--by", "bot_verified").returncode == 2
