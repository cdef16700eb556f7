"""The real server, the real browsers. One server for each module: what a test leaves behind, its neighbours can see."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.async_api import expect

from benchmarks.harness.browsers import CHROMIUM, FIREFOX, wav_from
from benchmarks.harness.server import ServerProcess
from web import STATIC

CLIPS = Path(__file__).parent.parent / "assets"
# A page may be slow where two cores run every test; a wait that is over early costs nothing.
expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name, there in (
        ("the web build (make web)", (STATIC / "index.html").exists()),
        ("Chromium", Path(CHROMIUM).exists()),
        ("Firefox ESR", Path(FIREFOX).exists()),
        ("ffprobe", shutil.which("ffprobe") is not None),
    ) if not there]  # fmt: skip
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"))
            item.add_marker(pytest.mark.timeout(240))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the server said goes with a failure."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, ServerProcess):
        report.sections.append(("the end of the server's log", server.tail()))
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded models, unpacked once for all servers."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def spoken_english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A microphone that says the English dose clip, with room to breathe around it."""
    return wav_from(CLIPS / "en-dose.opus", tmp_path_factory.mktemp("wav") / "en.wav", lead_seconds=4, tail_seconds=4)
