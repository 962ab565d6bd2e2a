"""Where the real logs are, and fixtures that several files need."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from rounds import examples

from logstats import pipeline

# Programs that tests start take signals as always, also where the tests run under nohup or in the background.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A test never asserts a time; rounds.py says how to try more examples.
settings.register_profile("logstats", deadline=None, max_examples=examples(50))
settings.load_profile("logstats")

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
REAL_LOGS = Path(os.environ.get("LOGSTATS_REAL_LOGS") or ROOT.parent / "shared" / "real_logs")


def pytest_collection_finish() -> None:
    """What there is before the first test is there after the last: no search for garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of real servers' logs; tests that need it are skipped where it is not."""
    if not REAL_LOGS.is_dir():
        pytest.skip("no real logs here: set LOGSTATS_REAL_LOGS to their folder")
    return REAL_LOGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def chunks_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have files read in chunks of so many bytes."""

    def chunks_of(size: int) -> None:
        with contextlib.suppress(TypeError):
            pipeline.Job()  # type: ignore[call-arg]  # a dataclass compiles its methods when they are first called
        defaults = pipeline.Job.__init__.__defaults__
        assert defaults is not None and pipeline.CHUNK in defaults
        smaller = tuple(size if value == pipeline.CHUNK else value for value in defaults)
        monkeypatch.setattr(pipeline.Job.__init__, "__defaults__", smaller)

    return chunks_of
