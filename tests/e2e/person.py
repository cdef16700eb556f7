"""A person at a browser: what they do and what they see, in Chromium and in Firefox alike."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as TimedOut

from benchmarks.harness.browsers import Firefox

# Counts remote pictures that move: somebody else's tile (one's own is mirrored) whose video showed new frames.
MOVING = """
const videos = [...document.querySelectorAll('[data-testid="tile"] video:not(.mirror)')];
for (const video of videos) {
  if (video.__shown !== undefined) continue;
  video.__shown = 0;
  const count = () => { video.__shown += 1; video.requestVideoFrameCallback(count); };
  video.requestVideoFrameCallback(count);
}
return videos.filter((video) => video.videoWidth > 0 && video.__shown >= 3).length;
"""

# Notes how much sound each received track has brought, as the browser's own statistics say (no loudspeaker is needed).
EARS = """
if (!window.__energy) {
  window.__energy = {};
  const connections = window.__connections = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...values) { super(...values); connections.push(this); }
  };
  window.setInterval(async () => {
    for (const connection of connections.filter((one) => one.connectionState === 'connected')) {
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== 'inbound-rtp' || report.kind !== 'audio') continue;
        const heard = window.__energy[report.trackIdentifier] ??= {first: report.totalAudioEnergy, last: 0};
        heard.last = report.totalAudioEnergy;
      }
    }
  }, 200);
}
return true;
"""

HEARD = """
const heard = Object.values(window.__energy).filter((track) => track.last - track.first > 0.0005);
return heard.length >= arguments[0];
"""

FORGET = """
for (const video of document.querySelectorAll('video')) if (video.__shown) video.__shown = 0;
for (const track of Object.keys(window.__energy)) delete window.__energy[track];
return true;
"""

# What a page can tell of a wait that was in vain: its text, its videos, and what its connections sent and received.
DIAGNOSIS = """
const text = document.body.innerText.replace(/\\s+/g, ' ').slice(0, 600);
const lines = [document.title + ' ' + document.visibilityState, text];
for (const video of document.querySelectorAll('video')) {
  const track = video.srcObject?.getTracks()[0];
  lines.push(['video', video.className, video.readyState, video.paused ? 'paused' : 'playing', video.videoWidth,
    'shown', video.__shown, track?.readyState, track?.muted ? 'muted' : ''].join(' '));
}
const kept = ['kind', 'rid', 'mid', 'active', 'packetsSent', 'framesEncoded', 'keyFramesEncoded', 'pliCount',
  'packetsReceived', 'framesDecoded', 'keyFramesDecoded', 'framesDropped', 'qualityLimitationReason', 'state'];
for (const connection of window.__connections ?? []) {
  lines.push(['connection', connection.connectionState, connection.iceConnectionState].join(' '));
  for (const report of (await connection.getStats()).values()) {
    if (!['inbound-rtp', 'outbound-rtp', 'candidate-pair', 'media-source'].includes(report.type)) continue;
    const values = kept.filter((key) => report[key] !== undefined).map((key) => key + '=' + report[key]);
    lines.push('  ' + report.type + ' ' + values.join(' '));
  }
}
return lines.join('\\n');
"""

TEXT_OF_CAPTIONS = "return document.querySelector('[data-testid=\"captions\"]')?.innerText ?? ''"


class Person:
    """One page of Chromium or a Firefox, behind the same few verbs."""

    def __init__(self, page: Page | Firefox, url: str) -> None:
        self.page = page
        self.url = url

    async def run(self, body: str, *arguments: Any) -> Any:
        if isinstance(self.page, Firefox):
            return await self.page.run(body, *arguments)
        return await self.page.evaluate(f"(values) => (function() {{ {body} }}).apply(null, values)", list(arguments))

    async def until(self, body: str, *arguments: Any, timeout: float = 60.0) -> Any:
        if isinstance(self.page, Firefox):
            return await self.page.until(body, *arguments, timeout=timeout)
        try:
            handle = await self.page.wait_for_function(
                f"(values) => (function() {{ {body} }}).apply(null, values)",
                arg=list(arguments), timeout=timeout * 1000, polling=100,
            )  # fmt: skip
        except TimedOut as error:
            raise TimeoutError(f"{error}\n{await self._diagnosis()}") from None
        return await handle.json_value()

    async def _diagnosis(self) -> str:
        """Of every page of the same browser: the cause is often somebody else's."""
        assert isinstance(self.page, Page)
        browser = self.page.context.browser
        told = []
        for page in (page for context in (browser.contexts if browser else []) for page in context.pages):
            told.append("this page:" if page is self.page else "another page:")
            try:
                told.append(str(await asyncio.wait_for(page.evaluate(f"async () => {{ {DIAGNOSIS} }}"), 5)))
            except (PlaywrightError, TimeoutError) as error:
                told.append(f"tells nothing: {error}")
        return "\n".join(told)

    async def goto(self, path: str) -> None:
        url = path if path.startswith("http") else self.url + path
        await self.page.goto(url)

    async def click(self, test_id: str) -> None:
        await self.until("return !!document.querySelector(arguments[0])", f'[data-testid="{test_id}"]')
        await self.page.click(f'[data-testid="{test_id}"]')

    async def fill(self, test_id: str, value: str) -> None:
        selector = f'[data-testid="{test_id}"]'
        await self.until("return !!document.querySelector(arguments[0])", selector)
        await self.page.fill(selector, value)

    async def choose(self, test_id: str, value: str) -> None:
        selector = f'[data-testid="{test_id}"]'
        if isinstance(self.page, Firefox):
            await self.page.fill(selector, value)
        else:
            await self.page.select_option(selector, value)

    async def join(self, link: str, name: str, *, spoken: str = "", reads: str = "") -> None:
        """From the link through the pre-join page into the room."""
        await self.goto(link)
        await self.run(EARS)
        await self.fill("name", name)
        await self.choose("reads", reads)
        if spoken:
            await self.choose("spoken", spoken)
        await self.click("join")
        await self.until("return !!document.querySelector('[data-testid=\"stage\"]')")

    async def sees(self, people: int, timeout: float = 60.0) -> None:
        """Waits until that many other people's pictures move."""
        await self.until(f"return (function() {{ {MOVING} }})() >= arguments[0]", people, timeout=timeout)

    async def hears(self, people: int, timeout: float = 60.0) -> None:
        """Waits until that many other people's voices have been loud."""
        await self.until(HEARD, people, timeout=timeout)

    async def forget(self) -> None:
        """What was seen and heard so far no longer counts."""
        await self.run(FORGET)

    async def captions(self) -> str:
        return str(await self.run(TEXT_OF_CAPTIONS))

    async def screenshot(self, path: Path) -> None:
        if isinstance(self.page, Firefox):
            await self.page.screenshot(path)
        else:
            await self.page.screenshot(path=path)


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


class Lid:
    """A laptop's lid: closed, the whole browser stands still, its network too; open, it finds the world gone on."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def _processes(self) -> list[int]:
        parents = _parents()
        roots = set()
        for pid in parents:
            try:
                if self._mark.encode() in (Path("/proc") / str(pid) / "cmdline").read_bytes():
                    roots.add(pid)
            except OSError:
                continue
        found = set(roots)
        grown = True
        while grown:
            grown = False
            for pid, parent in parents.items():
                if parent in found and pid not in found:
                    found.add(pid)
                    grown = True
        found.discard(os.getpid())
        return sorted(found)

    def close(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def open(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGCONT)


async def new_person(browser: Browser, url: str) -> Person:
    context = await browser.new_context(permissions=["microphone", "camera"], locale="en-US")
    return Person(await context.new_page(), url)
