"""The page of `logstats serve`, in Chromium: it moves, narrows, says when the connection is lost, and goes on."""

from __future__ import annotations

import importlib
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving import Client, proxied, served

MINUTES = 40


def write(log: Path, count: int, *, path: str = "/api/bugs/7", status: int = 200, client: str = "10.0.0.1") -> None:
    """Requests of now."""
    now = datetime.now(UTC)
    with log.open("a") as file:
        for _ in range(count):
            file.write(
                f'{client} - - [{now:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} 10 "-" "curl" 0.020\n'
            )


def backfill(log: Path) -> None:
    """Some requests of each of the last minutes."""
    now = datetime.now(UTC)
    with log.open("a") as file:
        for minute in range(MINUTES, 0, -1):
            at = now - timedelta(minutes=minute)
            for n, path in enumerate(["/a", "/a", "/b?x=1", "/<b>c</b>"]):
                file.write(
                    f'10.0.0.{n} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {[200, 404, 500, 200][n]} '
                    f'10 "-" "curl" 0.0{n + 1}0\n'
                )


class Opened:
    """A page, and everything that should not have happened while it was open."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.page.locator("#state .now", has_text="requests/s").wait_for()

    def tile(self, name: str) -> Any:
        """The figure of this name."""
        return self.page.locator(".tiles > div").filter(has_text=name).locator("dd").first

    def shows(self, name: str, figure: str) -> None:
        """Wait for a figure."""
        self.page.locator(".tiles > div").filter(has_text=name).locator("dd", has_text=figure).first.wait_for()


def test_it_moves_and_narrows(browser: Any, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    backfill(log)
    with served(log, interval=1) as client:
        opened = Opened(browser, f"http://127.0.0.1:{client.port}/")
        page = opened.page
        opened.shows("Requests", str(4 * MINUTES))
        assert page.locator(".live canvas").count() == 6
        picture = page.locator("#requests canvas").evaluate("c => c.toDataURL()")
        # Figures, tables and charts move, while a table stays sorted and searched as it was, and what is open, open.
        busiest = page.locator("#busiest tbody tr")
        assert busiest.count() == 3
        page.locator("#busiest").get_by_role("button", name="Requests").click()
        page.locator("#busiest").get_by_role("button", name="Requests").click()
        page.locator("summary").click()
        write(log, 200)
        opened.shows("Requests", str(4 * MINUTES + 200))
        assert busiest.count() == 4
        assert "/api/bugs/{id}" in busiest.last.inner_text(), "sorted from few to many"
        assert page.locator("#busiest th[aria-sort=ascending]").count() == 1
        assert page.locator("details[open]").count() == 1
        assert page.locator("#requests canvas").evaluate("c => c.toDataURL()") != picture
        # An endpoint, then a status, then back.
        page.locator("#busiest a", has_text="/<b>c</b>").click()
        opened.shows("Requests", str(MINUTES))
        assert "endpoint=%2F%3Cb%3Ec%3C%2Fb%3E" in page.url
        assert page.locator(".chips bdi").all_inner_texts() == ["GET /<b>c</b>"]
        page.locator(".chips a").click()
        page.locator(".tiles a", has_text="Errors").click()
        opened.shows("Errors", "100")
        page.go_back()
        page.go_back()
        opened.shows("Requests", str(MINUTES))
        page.reload()
        opened.shows("Requests", str(MINUTES))
        page.get_by_role("link", name="5 min", exact=True).click()
        page.locator(".ranges a[aria-current]").get_by_text("5 min", exact=True).wait_for()
        assert int(opened.tile("Requests").inner_text()) in range(1, 6)
        # A zoom is for everything.
        page.goto(f"http://127.0.0.1:{client.port}/?range=1h")
        box = page.locator("#requests .u-over").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=4)
        page.mouse.up()
        page.locator(".chips", has_text="time").wait_for()
        assert "since=" in page.url and "until=" in page.url
        zoomed = int(opened.tile("Requests").inner_text())
        assert 0 < zoomed < 2 * MINUTES
        page.locator("#requests .u-over").dblclick()
        opened.shows("Requests", str(4 * MINUTES + 200))
        opened.context.close()
    assert opened.complaints == []
    assert {url.partition("/")[2][1:].partition("/")[0] for url in opened.requests if url.startswith("http")} == {
        f"127.0.0.1:{client.port}"
    }


def test_behind_a_proxy_it_says_that_the_connection_is_lost_and_goes_on(browser: Any, tmp_path: Path) -> None:
    """Below a path, with a token, which becomes a cookie. While nothing is behind it, the proxy answers 502."""
    log = tmp_path / "access.log"
    write(log, 3)
    with ExitStack() as first, ExitStack() as around:
        client: Client = first.enter_context(served(log, token="open sesame"))
        url = around.enter_context(proxied(client.port))
        opened = Opened(browser, f"{url}?range=all&token=open+sesame")
        around.callback(opened.context.close)
        opened.shows("Requests", "3")
        assert opened.page.url == f"{url}?range=all"
        first.close()
        opened.page.locator("#state.lost", has_text="connection lost").wait_for()
        write(log, 4)
        around.enter_context(served(log, token="open sesame", port=client.port))
        opened.page.locator("#state:not(.lost)", has_text="live").wait_for()
        opened.shows("Requests", "7")
        around.pop_all().close()
    assert all(one.startswith((url, "data:")) for one in opened.requests)


def test_a_long_interval_is_no_lost_connection(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page hears of the server more often than of the logs."""
    monkeypatch.setattr(importlib.import_module("logstats.live.serve.app"), "PING", 0.1)
    with served(tmp_path / "none.log", interval=3600) as client, closing(browser.new_page()) as page:
        page.goto(f"http://127.0.0.1:{client.port}/")
        page.locator("#state:not(.lost) .link", has_text="live").wait_for()
        assert page.locator("#state .now").inner_text() == ""


def test_axe_finds_nothing_and_it_fits(browser: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    log = tmp_path / "access.log"
    backfill(log)
    with served(log, interval=5, alerts=["requests >= 1"]) as client:
        opened = Opened(browser, f"http://127.0.0.1:{client.port}/?range=1h&status=5xx", bypass_csp=True)
        opened.page.locator(".alerts").wait_for()
        for width, scheme in ((1280, "light"), (390, "dark")):
            opened.page.set_viewport_size({"width": width, "height": 800})
            opened.page.emulate_media(color_scheme=scheme)
            rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
            found = axe.Axe().run(opened.page, options={"runOnly": rules})
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            assert len(found.response["passes"]) > 15
            assert found.violations_count == 0, found.generate_report()
        opened.context.close()
