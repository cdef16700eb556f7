"""A newcomer's first ten minutes: the demo room speaks, is captioned, is recorded, and is replayed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium, firefox
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(folder, "--demo")
    await server.start(timeout=120)
    yield server
    await server.stop(timeout=60)


def streams(file: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(file)],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)["streams"]
    return found


PLAYS = """
const video = document.querySelector('[data-testid="replay-video"]');
window.__frames ??= 0;
const frames = video.getVideoPlaybackQuality().totalVideoFrames;
const moved = frames > window.__frames + 3;
if (window.__frames === 0 || moved) window.__frames = frames;
return moved && video.currentTime > 0.5 && !video.paused && video.videoWidth > 0;
"""


async def test_from_the_link_to_the_download(server: ServerProcess, tmp_path: Path) -> None:
    async with chromium() as browser:
        host = await new_person(browser, server.url)
        await host.join(server.links["host"], "Host", reads="pt")
        await host.click("control-microphone")

        # The demo guests are seen, heard and captioned, in the reader's language and each under their own name.
        await host.sees(2)
        await host.hears(1)
        await host.until("return !!document.querySelector('[data-testid=\"caption-line\"]')", timeout=120)

        await host.click("control-record")
        await host.fill("record-purpose", "teaching")
        await host.click("record-confirm")
        await host.until("return !!document.querySelector('[data-testid=\"recording\"]')")
        guest = await new_person(browser, server.url)
        await guest.join(server.links["guest"], "Late guest", reads="en")
        await guest.until("return document.querySelector('[data-testid=\"recording\"]')?.innerText.includes('Host')")
        # Two people's words, and long enough to seek in.
        await host.until(
            "window.__seen ??= new Set();"
            "for (const line of document.querySelectorAll('[data-testid=\"caption-line\"]'))"
            " window.__seen.add(line.dataset.participant);"
            "window.__since ??= performance.now();"
            "return window.__seen.size >= 2 && performance.now() - window.__since > 10000;",
            timeout=120,
        )
        await host.click("control-record")
        if await host.run("return !!document.querySelector('[data-testid=\"record-confirm\"]')"):
            await host.click("record-confirm")
        await host.until("return !!document.querySelector('[data-testid=\"replay-link\"]')")
        link = await host.run("return document.querySelector('[data-testid=\"replay-link\"]').href")

        viewer = await new_person(browser, server.url)
        await replay(viewer, link)
        assert isinstance(viewer.page, Page)
        files = {}
        await viewer.click("replay-download")
        for container in ("mkv", "mp4"):
            async with viewer.page.expect_download(timeout=60_000) as download:
                await viewer.click(f"download-{container}")
                await viewer.until(
                    f"const link = document.querySelector('[data-testid=\"download-{container}-link\"]');"
                    "if (link) link.click(); return !!link || arguments[0]",
                    False,
                    timeout=60,
                )
            files[container] = tmp_path / f"replay.{container}"
            await (await download.value).save_as(files[container])
        async with viewer.page.expect_download(timeout=60_000) as download:
            await viewer.page.get_by_test_id("download-track").first.click()
        await (await download.value).save_as(tmp_path / "own.mp4")
        assert len(streams(tmp_path / "own.mp4")) == 1  # somebody's own sound or picture, by itself
        for file in files.values():
            kinds = [stream["codec_type"] for stream in streams(file)]
            assert kinds.count("subtitle") >= 2, kinds
            assert "video" in kinds and "audio" in kinds

    async with firefox() as fox:
        await replay(Person(fox, server.url), link)


async def replay(viewer: Person, link: str) -> None:
    """Plays, seeks, and shows the captions that were chosen."""
    await viewer.goto(link)
    await viewer.until("return !!document.querySelector('[data-testid=\"transcript-line\"]')")
    if await viewer.run("return document.querySelector('[data-testid=\"replay-video\"]').paused"):
        await viewer.click("replay-play")
    await viewer.until(PLAYS)
    lines = await viewer.run("return document.querySelectorAll('[data-testid=\"transcript-line\"]').length")
    assert lines >= 2
    before = await viewer.run("return document.querySelector('[data-testid=\"replay-video\"]').currentTime")
    await viewer.run(
        "const lines = [...document.querySelectorAll('[data-testid=\"transcript-line\"]')];"
        "lines[Math.floor(lines.length / 2)].click(); return true"
    )
    await viewer.until(
        "const video = document.querySelector('[data-testid=\"replay-video\"]');"
        "return !video.seeking && Math.abs(video.currentTime - arguments[0]) > 1 && video.readyState >= 3",
        before,
        timeout=60,
    )
    await viewer.click("caption-language")
    await viewer.click("caption-pt")
    await viewer.until(
        "return document.querySelector('[data-testid=\"replay-captions\"]')?.innerText.trim().length > 3", timeout=30
    )
