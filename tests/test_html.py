"""The HTML report, as a browser without a network shows it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hostile import ATTACKS, hostile_log
from program import invoke

import logstats
from logstats.reports.by_minute import Minute
from logstats.reports.html.page import LIMIT, to_html
from logstats.reports.html.series import script_json
from logstats.reports.model import Report
from logstats.reports.printable import printable, shortened

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined_time.log"


# ------------------------------------------------------------------ without a browser


@pytest.fixture(scope="module")
def report() -> Report:
    return logstats.report(SAMPLE, over_time=True, by=["client_ip"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("hostile") / "<b>&hostile.log"
    path.write_bytes(hostile_log())
    columns = ["user_agent", "host", "referer", "user_id", "app_name"]
    return logstats.report(path, over_time=True, by=columns, templates=False)


def data_of(page: str) -> Any:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def within(report: Report, start: float, step: int) -> list[Minute]:
    """The minutes of an interval."""
    return [minute for minute in report.minutes if start <= minute.minute.timestamp() < start + step]


def test_the_numbers_of_the_charts_are_those_of_the_report(report: Report) -> None:
    """897 requests in a day: intervals are 20 minutes, since 30 would leave fewer than 48 of them."""
    data = data_of(to_html(report))
    times = [data["start"] + data["step"] * i for i in range(data["count"])]
    assert (data["step"], data["count"], times[0]) == (1200, 72, datetime(2025, 1, 17, tzinfo=UTC).timestamp())
    users: dict[int, set[str]] = defaultdict(set)
    for row in logstats.read(SAMPLE, columns=["timestamp", "user_id", "client_ip"]):
        for time, user, address in row.select("timestamp", "user_id", "client_ip").iter_rows():
            users[int(time.timestamp()) // data["step"] * data["step"]].add(user or address)
    for i, time in enumerate(times):
        minutes = within(report, time, data["step"])
        assert data["requests"][i] == sum(minute.requests for minute in minutes)
        assert data["errors"][i] == sum(minute.errors for minute in minutes)
        for name, values in data["classes"].items():
            assert values[i] == sum(minute.status_classes.get(name, 0) for minute in minutes)
        assert data["users"][i] == len(users[time])
    assert report.latency is not None
    cells = data["heat"]["cells"]
    assert sum(cells[2::3]) == report.latency.count
    assert max(cells[0::3]) < data["heat"]["columns"] <= 288
    edges = data["heat"]["edges"]
    assert max(cells[1::3]) < len(edges) - 1 <= 48
    assert edges == sorted(edges)
    assert edges[-1] >= report.latency.max / 1.0001


def test_an_archive_gives_the_page_of_its_logs(tmp_path: Path, report: Report) -> None:
    folder = str(tmp_path / "archive")
    assert invoke("archive", "init", folder).returncode == 0
    assert invoke("archive", "add", "--archive", folder, str(SAMPLE)).returncode == 0
    kept = logstats.report([], archive=folder, over_time=True, by=["client_ip"])
    assert data_of(to_html(kept)) == data_of(to_html(report))
    tables = [re.findall(r"<tr>.*?</tr>", to_html(one, top=500), re.DOTALL) for one in (kept, report)]
    assert [row for row in tables[0] if row not in tables[1]] == [row for row in tables[0] if str(folder) in row]


def test_nothing_ends_the_data_element() -> None:
    assert script_json("</script><!--&\u2028") == '"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028"'


def test_the_page_is_never_larger_than_its_limit(tmp_path: Path) -> None:
    """A day of long paths, agents and referers, all of them markup that grows when it is escaped."""
    path = tmp_path / "a.log"
    with path.open("w") as file:
        for n in range(4_000):
            time = datetime(2025, 1, 17, tzinfo=UTC) + timedelta(seconds=n * 21.5)
            text = f"{n}" + "<&'>" * 60
            file.write(
                f"10.{n % 250}.{n // 250}.1 - user{n % 999}{'<' * 60} [{time:%d/%b/%Y:%H:%M:%S} +0000] "
                f'"GET /{text} HTTP/1.1" {200 + n % 4 * 100} 1 "{text}" "{text}" {n * 37 % 60_000 / 1000}\n'
            )
    columns = ["client_ip", "user_agent", "referer", "user_id", "status", "method"]
    report = logstats.report(path, format="combined_time", templates=False, over_time=True, by=columns)
    page = to_html(report)
    assert 300_000 < len(page.encode()) <= LIMIT == 1_000_000
    assert re.search(r"\d+ of 4,000 are shown", page)
    data = data_of(page)
    assert (data["step"], data["count"]) == (1200, 72)
    assert len(to_html(report, top=200).encode()) > LIMIT  # somebody who asks for more gets more


@pytest.mark.parametrize(
    "times",
    [
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
        ["0001-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01T00:01:00Z"],
        ["1969-12-31T23:59:30Z", "1970-01-01T00:00:00Z"],
        ["2025-01-01T00:00:00Z"],
    ],
)
@pytest.mark.parametrize("duration", [None, 0, 0.001, 1e12])
def test_any_time_and_duration(tmp_path: Path, times: list[str], duration: float | None) -> None:
    path = tmp_path / "a.log"
    lines = [{"time": t, "method": "GET", "path": "/", "status": 200, "duration_ms": duration} for t in times]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = to_html(logstats.report(path, format="json", over_time=True))
    data = data_of(page)
    assert sum(data["requests"]) == len(times)
    assert (data["heat"] is None) == (duration is None)
    if data["heat"]:
        assert sum(data["heat"]["cells"][2::3]) == len(times)


# ------------------------------------------------------------------ in Chromium


class Page:
    """A page that was opened from a file, and everything that should not have happened while it was."""

    def __init__(self, browser: Any, folder: Path, html: str, **context: Any) -> None:
        (folder / "report.html").write_text(html)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto((folder / "report.html").as_uri())

    def close(self) -> None:
        """It was quiet, and asked for nothing but itself (and its own empty icon)."""
        self.page.context.close()
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("data:")] == self.requests[:1]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    pages: list[Page] = []

    def open_(html: str, **context: Any) -> Any:
        pages.append(Page(browser, tmp_path, html, **context))
        return pages[-1].page

    yield open_
    for page in pages:
        page.close()


@pytest.mark.parametrize("script", [True, False])
def test_a_hostile_log_is_shown_as_text(opened: Any, hostile: Report, script: bool) -> None:
    page = opened(to_html(hostile), java_script_enabled=script)
    texts = page.locator("tbody th").all_text_contents()
    for attack in ATTACKS:
        for said in (attack, f"GET /{attack}", f"GET {attack}"):
            assert shortened(printable(said), 120) in texts
    elements = page.locator("script, iframe, img, object, embed, form, a[href]:not([href^='#']), [onload], [onerror]")
    assert elements.evaluate_all("found => found.map(e => e.tagName)") == ["SCRIPT"] * 3
    assert page.evaluate("window.pwned") is None
    shown = page.locator("body").inner_text()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f\x00-\x08\x1b]", shown)
    assert "<b>&hostile.log" in shown


def test_nothing_else_could_run_or_load(browser: Any, tmp_path: Path, report: Report) -> None:
    """Markup that got past all escaping would be stopped by the policy: no script of it runs, no server is asked."""
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        attack = (
            "<script>window.pwned=1</script><img src=x onerror=window.pwned=1><style>body{display:none}</style>"
            f"<img src={address}/image><link rel=stylesheet href={address}/style><script src={address}/script></script>"
            f"<a id=bad href='javascript:window.pwned=1'>x</a><iframe src={address}/frame></iframe>"
        )
        opened = Page(browser, tmp_path, to_html(report).replace("<main>", f"<main>{attack}"))
        opened.page.locator("#bad").click()
        opened.page.evaluate(f"fetch('{address}/fetch').catch(() => 0)")
        server.shutdown()
    assert asked == []
    assert opened.page.evaluate("window.pwned") is None
    assert opened.page.locator("body").is_visible()
    assert sum("Content Security Policy" in complaint for complaint in opened.complaints) >= 8
    opened.page.context.close()


def test_tables_sort_and_search(opened: Any, report: Report) -> None:
    page = opened(to_html(report))
    table = page.locator("#slowest")

    def column(name: str) -> list[str]:
        heads = [text.strip() for text in table.locator("thead th").all_text_contents()]
        return table.locator(f"tbody tr:visible > :nth-child({heads.index(name) + 1})").all_text_contents()

    timed = [row for row in report.endpoints if row.latency and row.endpoint != "(malformed)"]
    expected = sorted((row.requests for row in timed), reverse=True)
    table.get_by_role("button", name="Requests").click()
    assert [int(text.replace(",", "")) for text in column("Requests")] == expected
    assert table.locator("th[aria-sort=descending]").inner_text().strip().endswith("Requests")
    table.get_by_role("button", name="Requests").click()
    assert [int(text.replace(",", "")) for text in column("Requests")] == expected[::-1]
    table.get_by_role("button", name="Endpoint").press("Enter")
    assert column("Endpoint") == sorted(row.name for row in timed)
    table.get_by_role("searchbox").fill("get bugs")
    assert sorted(column("Endpoint")) == sorted(
        row.name for row in timed if "get" in row.name.lower() and "bugs" in row.name.lower()
    )
    assert f"of {len(timed)} rows" in table.locator("[aria-live]").inner_text()


def test_charts_zoom_and_tell_their_figures(opened: Any, report: Report) -> None:
    page = opened(to_html(report))
    assert page.locator(".live canvas").count() == 6
    # Every chart has drawn something: its canvas is not of one colour.
    for canvas in page.locator(".live canvas").all():
        colours = (
            "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
        )
        assert canvas.evaluate(f"c => ({colours})(c)") > 3
    # Hover: the legends of all charts tell the same minute.
    box = page.locator("#requests .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    said = page.locator("#requests .u-series").all_inner_texts()
    moment = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", said[0])
    assert moment
    begin = datetime.fromisoformat(f"{moment[0]}+00:00").timestamp()
    requests = sum(minute.requests for minute in within(report, begin, 1200))
    assert re.search(r"\d+", said[1])[0] == str(requests)  # type: ignore[index]
    assert moment[0] in page.locator("#errors .u-series").first.inner_text()
    page.locator("#heat .u-over").scroll_into_view_if_needed()
    box = page.locator("#heat .u-over").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    assert re.search(r"\d\d:\d\d – \d\d:\d\d, .*: \d+ requests", page.locator("#heat .tip").inner_text())
    # Drag: all charts zoom, and any of them shows all again.
    buttons = page.get_by_role("button", name="Show all")
    assert buttons.count() == 0
    page.locator("#requests").scroll_into_view_if_needed()
    box = page.locator("#requests .u-over").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 50, steps=4)
    page.mouse.up()
    page.wait_for_function("document.querySelectorAll('.reset:not([hidden])').length === 6")
    buttons.last.click()
    page.wait_for_function("document.querySelectorAll('.reset:not([hidden])').length === 0")


def test_charts_by_keyboard(opened: Any, report: Report) -> None:
    page = opened(to_html(report))
    live, readout = page.locator("#requests .live"), page.locator("#readout")
    live.focus()
    live.press("ArrowRight")
    for key, minute in (("Home", "00:00"), ("End", "23:40")):
        live.press(key)
        begin = datetime.fromisoformat(f"2025-01-17T{minute}+00:00")
        requests = sum(minute.requests for minute in within(report, begin.timestamp(), 1200))
        assert readout.inner_text().startswith(f"{begin:%Y-%m-%d %H:%M}: {requests} requests")
    live.press("+")
    page.wait_for_function("document.querySelectorAll('.reset:not([hidden])').length === 6")
    live.press("0")
    page.wait_for_function("document.querySelectorAll('.reset:not([hidden])').length === 0")
    heat = page.locator("#heat .live")
    heat.focus()
    heat.press("ArrowRight")
    heat.press("ArrowUp")
    assert re.search(r"00:00 – 00:20, .*: \d+ requests", readout.inner_text())


def test_without_script_and_on_paper(opened: Any, report: Report) -> None:
    page = opened(to_html(report), java_script_enabled=False)
    assert page.locator("svg.chart:visible").count() == 6
    assert page.locator("canvas, button, input, .live:visible").count() == 0
    assert page.locator("#slowest tbody tr").count() == len(
        [row for row in report.endpoints if row.latency and row.endpoint != "(malformed)"]
    )
    page = opened(to_html(report))
    assert page.locator("svg.chart:visible").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("svg.chart:visible").count() == 6
    assert page.locator(".live:visible, .tools:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 32, 36)"


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(opened: Any, report: Report, hostile: Report, width: int) -> None:
    for html in (to_html(report), to_html(hostile, top=10)):
        page = opened(html)
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function("[...document.querySelectorAll('.uplot')].every(u => u.offsetWidth <= innerWidth)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_axe_finds_nothing_against_wcag(opened: Any, report: Report, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(to_html(report, top=5), color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("summary").click()
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = axe.Axe().run(page, options={"runOnly": rules})
    assert len(found.response["passes"]) > 15
    assert found.violations_count == 0, found.generate_report()


def test_thresholds_come_first(opened: Any) -> None:
    conditions = ["p99 > 1ms", "requests < 1", "GET /<nothing>: p50 > 1s"]
    page = opened(to_html(logstats.report(SAMPLE, over_time=True, fail_if=conditions)))
    lines = page.locator(".thresholds li").all_inner_texts()
    assert [line.split(" ")[0] for line in lines] == ["failed", "passed", "no"]
    for condition, line in zip(conditions, lines, strict=True):
        assert condition in line
    above = page.locator(".thresholds").bounding_box()["y"], page.locator(".tiles").bounding_box()["y"]
    assert above[0] < above[1] < 400


def test_a_change_of_colour_scheme_draws_anew(opened: Any, report: Report) -> None:
    page = opened(to_html(report), color_scheme="light")
    before = page.locator("#heat canvas").evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("before => document.querySelector('#heat canvas')?.toDataURL() !== before", arg=before)
    assert page.locator(".live canvas").count() == 6


def test_empty_and_latency_free_reports(opened: Any, tmp_path: Path) -> None:
    page = opened(to_html(logstats.report([], over_time=True)))
    assert "There is nothing to report" in page.locator("body").inner_text()
    log = tmp_path / "a.log"
    log.write_text('10.0.0.1 - - [17/Jan/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 7\n')
    page = opened(to_html(logstats.report(log, over_time=True)))
    assert page.locator(".live canvas").count() == 3
    assert "No request has a duration." in page.locator("#made").inner_text()


def test_charts_are_read_in_the_zone(opened: Any, report: Report) -> None:
    """Kolkata is 5 h 30 min ahead of UTC: hours begin at the half hour of UTC."""
    page = opened(to_html(replace(report, zone="Asia/Kolkata")))
    assert report.over_time is not None
    first = report.over_time.intervals[0].start.astimezone(ZoneInfo("Asia/Kolkata"))
    chart = page.locator("#requests .live")
    chart.press("Home")
    assert page.locator("#readout").inner_text().startswith(f"{first:%Y-%m-%d %H:%M}: ")
    assert "Asia/Kolkata" in page.locator("#requests .u-legend").inner_text()
    drawn = opened(to_html(replace(report, zone="Asia/Kolkata")), java_script_enabled=False)
    assert "06:00" in drawn.locator("#requests svg.chart text").all_text_contents()
