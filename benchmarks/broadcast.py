"""A live broadcast: seconds from the stage to the screen, captions against the picture, what viewers cost.

The delay is measured from picture to picture: the host's camera is a canvas that paints the wall clock as black and
white fields, and the viewer's page reads them back from its video element (both pages in one Chromium, one clock).
Viewers without a screen are simulated from this process; the server is another one, whose processor time is read from
the kernel, and what it needs without viewers is taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser

from benchmarks._spectators import Spectator, WhipSignalling, seat, server_of
from benchmarks._viewers import Player, listen, ticket
from benchmarks.fanout import FRAME, PAYLOAD, RATE
from benchmarks.figures import latency
from benchmarks.harness.browsers import chromium, wav_from
from benchmarks.harness.server import ServerProcess
from benchmarks.load.generator import Receiver
from benchmarks.load.process import cpu_ns
from benchmarks.load.webrtc import Source

LOSS, MBPS = 0.001, 1.4
"""With more loss, or less media at a viewer, a figure would be that of the load generator."""
SPEECH = Path(__file__).parent.parent / "tests" / "assets" / "en-dose.opus"

# 32 fields of 80 x 90 pixels: the low 30 bits of the clock in ms, then two that say it is whole.
CAMERA = """
navigator.mediaDevices.getUserMedia = ((real) => async (wanted) => {
  const stream = await real(wanted);
  if (!wanted.video) return stream;
  const canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 360;
  const context = canvas.getContext('2d');
  setInterval(() => {
    const now = Date.now() % 2 ** 30;
    for (let bit = 0; bit < 32; bit += 1) {
      const on = bit < 30 ? (now / 2 ** bit) & 1 : bit === 30;
      context.fillStyle = on ? '#fff' : '#000';
      context.fillRect((bit % 8) * 80, Math.floor(bit / 8) * 90, 80, 90);
    }
  }, 33);
  for (const track of stream.getVideoTracks()) { stream.removeTrack(track); track.stop(); }
  stream.addTrack(canvas.captureStream(30).getVideoTracks()[0]);
  return stream;
})(navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices));
"""
READ = """
window.__delays = []; window.__captions = []; window.__behind = [];
const heard = new Map();
const captions = () => [...document.querySelectorAll('[data-testid="live-captions"] p')];
// What stands there already came at a time that nobody knows.
const old = new Set(captions().map((p) => p.dataset.segment));
const canvas = document.createElement('canvas');
canvas.width = 640; canvas.height = 360;
const context = canvas.getContext('2d', {willReadFrequently: true});
function shown(video) {
  context.drawImage(video, 0, 0, 640, 360);
  let value = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    const [light] = context.getImageData((bit % 8) * 80 + 40, Math.floor(bit / 8) * 90 + 45, 1, 1).data;
    if (light > 80 && light < 175) return null;
    if (bit < 30) value += light > 127 ? 2 ** bit : 0;
    else if ((light > 127) !== (bit === 30)) return null;
  }
  return value;
}
let last = 0;
setInterval(() => {
  const video = document.querySelector('[data-testid="live-video"]');
  if (!video || video.paused || video.readyState < 2) return;
  const now = Date.now() % 2 ** 30;
  const fresh = captions()
    .filter((p) => !old.has(p.dataset.segment) && p.dataset.heard !== heard.get(p.dataset.segment));
  if (now - last < 200 && !fresh.length) return;
  const picture = shown(video);
  if (picture === null) return;
  if (now - last >= 200) { window.__delays.push(now - picture); last = now; }
  for (const p of fresh) {
    const before = heard.get(p.dataset.segment);
    const behind = picture - (Number(before ?? p.dataset.spoken) % 2 ** 30);
    (before === undefined ? window.__captions : window.__behind).push(behind);
    heard.set(p.dataset.segment, p.dataset.heard);
  }
}, 30);
"""


@dataclass
class Seen:
    """What a viewer saw, in ms: how long pictures were under way; by how much the picture was beyond the first word of
    a caption when that appeared (less than 0: it came early); and beyond the oldest word that a caption which grew had
    not had before."""

    delays: list[float]
    captions: list[float]
    behind: list[float]


async def _screen(browser: Browser, link: str, tier: str, seconds: float) -> Seen:
    """What a viewer of this tier sees, after ten seconds."""
    viewer = await (await browser.new_context(locale="en-US")).new_page()
    if tier == "hls":
        await viewer.add_init_script("delete window.RTCPeerConnection")
    await viewer.goto(link)
    await viewer.wait_for_function(
        """(tier) => document.querySelector('[data-testid="live-edge"]')?.dataset.tier === tier
            && document.querySelector('[data-testid="live-video"]')?.currentTime > 1""",
        arg=tier,
        timeout=60_000,
    )
    await asyncio.sleep(10)
    await viewer.evaluate("() => {" + READ + "}")
    await asyncio.sleep(seconds)
    delays = [float(one) for one in await viewer.evaluate("() => window.__delays")]
    captions = [float(one) for one in await viewer.evaluate("() => window.__captions")]
    behind = [float(one) for one in await viewer.evaluate("() => window.__behind")]
    tier_then = await viewer.get_attribute('[data-testid="live-edge"]', "data-tier")
    await viewer.close()
    if len(delays) < seconds or tier_then != tier:
        raise RuntimeError(f"{len(delays)} pictures could be read by {tier}; it was {tier_then} at the end")
    return Seen(delays, captions, behind)


async def _stage(root: Path, seconds: float) -> dict[str, Any]:
    """One host who speaks, and one viewer after the other, in Chromium."""
    wav = wav_from(SPEECH, root / "speech.wav", lead_seconds=1, tail_seconds=3)
    async with (
        ServerProcess(root / "server", models=root / "models") as server,
        chromium(microphone=wav, loop_microphone=True) as browser,
    ):
        context = await browser.new_context(permissions=["microphone", "camera"], locale="en-US")
        host = await context.new_page()
        await host.add_init_script(CAMERA)
        await host.goto(server.links["host"])
        await host.fill('[data-testid="name"]', "Host")
        await host.select_option('[data-testid="spoken"]', "en")
        await host.click('[data-testid="join"]')
        await host.wait_for_selector('[data-testid="stage"]')
        await host.keyboard.press("b")
        await host.click('[data-testid="cast-plan"]')
        link = await host.input_value('[data-testid="cast-link"]')
        await host.select_option('[data-testid="cast-countdown"]', "0")
        await host.click('[data-testid="cast-go"]')
        near = await _screen(browser, link, "realtime", seconds)
        far = await _screen(browser, link, "hls", seconds)
    figures: dict[str, Any] = {"whep_latency_ms": {name: round(v) for name, v in latency(near.delays).items()}}
    figures["whep_latency_samples"] = len(near.delays)
    figures["hls_latency_s"] = {name: round(v / 1000, 2) for name, v in latency(far.delays).items()}
    figures["hls_latency_samples"] = len(far.delays)
    for name, seen in (("caption", far), ("whep_caption", near)):
        begun = [abs(one) for one in seen.captions]
        figures[f"{name}_sync_ms"] = {k: round(v) for k, v in latency(begun).items()} if begun else None
        figures[f"{name}_samples"] = len(begun)
        figures[f"{name}_words_behind_ms"] = (
            {k: round(v) for k, v in latency(seen.behind).items()} if seen.behind else None
        )
    return figures


def _cpu(pid: int) -> float:
    """Seconds of processor time of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def _on_air(folder: Path) -> AsyncIterator[tuple[str, str, int]]:
    """The viewers' address, the host's code and the server's process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks._onair", str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and process.stdin
    try:
        async with asyncio.timeout(60):
            link = ""
            while "/live/" not in link:
                line = await process.stdout.readline()
                if not line:
                    raise RuntimeError("the server did not start")
                link = line.decode().strip()
        address, _, code = link.partition(" ")
        yield address, code, process.pid
    finally:
        process.stdin.close()
        await process.wait()


async def _players(http: aiohttp.ClientSession, base: str, cookie: str, pid: int, count: int, seconds: float) -> Any:
    """The server's processor time with so many players, and what they got."""
    players = [Player(http, base, cookie) for _ in range(count)]
    tasks = [asyncio.create_task(player.run()) for player in players]
    await asyncio.sleep(4)
    begun, cpu, sent = time.monotonic(), _cpu(pid), sum(player.bytes for player in players)
    for player in players:
        player.late.clear()
    await asyncio.sleep(seconds)
    lasted = time.monotonic() - begun
    share = (_cpu(pid) - cpu) / lasted
    rate = (sum(player.bytes for player in players) - sent) * 8 / lasted / max(1, count) / 1e6
    failed = [task.exception() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if failed:
        raise RuntimeError(f"{len(failed)} players stopped: {failed[0]!r}")
    gaps = [gap for player in players for gap in player.late]
    return share, rate, gaps


async def _audience(root: Path, seconds: float, players: int, listeners: int) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        _on_air(root / "air") as (link, _, pid),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http,
    ):
        base, cookie = await ticket(http, link)
        async with http.get(f"{base}/hls/master.m3u8", headers={"Cookie": cookie}) as answer:
            answer.raise_for_status()
        alone, _, _ = await _players(http, base, cookie, pid, 0, seconds)
        share, rate, gaps = await _players(http, base, cookie, pid, players, seconds)
        memory, heard = _memory(pid), []  # type: tuple[int, list[float]]
        transports = await listen(base, cookie, listeners, b'event: questions\ndata: {"changed"', heard)
        await asyncio.sleep(2)
        each = (_memory(pid) - memory) / listeners
        delays: list[float] = []
        for number in range(4):
            heard.clear()
            asked = time.monotonic()
            body = {"key": str(number), "text": f"Question {number}?"}
            async with http.post(f"{base}/questions", json=body, headers={"Cookie": cookie}) as answer:
                answer.raise_for_status()
            async with asyncio.timeout(20):
                while len(heard) < listeners:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            delays += [(at - asked) * 1000 for at in heard]
        for transport in transports:
            transport.close()
    cost = (share - alone) / players
    return {
        "hls_viewers_per_core": round(1 / cost),
        "hls_players": players,
        "hls_mbps": round(rate, 2),
        "hls_cpu_share_without_viewers": round(alone, 3),
        "hls_cpu_share_with_players": round(share, 3),
        "hls_part_gap_s": {name: round(value, 2) for name, value in latency(gaps).items()},
        "event_fanout_ms": {name: round(value) for name, value in latency(delays).items()},
        "event_listeners": listeners,
        "memory_per_viewer_kb": round(each / 1000, 1),
    }


async def _realtime(root: Path, seconds: float, viewers: int) -> dict[str, Any]:
    """One camera of 1.5 Mbit/s by WHIP, and viewers by WHEP: none, half of them, all of them."""
    async with (
        _on_air(root / "near") as (link, code, pid),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        receiver, source = Receiver(viewers), Source()
        await source.connect(WhipSignalling(http, server_of(link), code))
        assert source.publisher is not None
        flow = asyncio.create_task(source.publisher.send(100_000_000, burst=FRAME, size=PAYLOAD, rate=RATE))
        seated: list[Spectator] = []
        shares, memory, joined, lost, mbps = [], [], 0.0, 0.0, 0.0
        try:
            for count in (0, viewers // 2, viewers):
                begun = _cpu(pid)
                seated += await seat(http, link, receiver, count - len(seated))
                joined += _cpu(pid) - begun
                await asyncio.sleep(6)
                await receiver.reset()
                cpu, at = cpu_ns(pid), time.monotonic()
                await asyncio.sleep(seconds)
                lasted = time.monotonic() - at
                shares.append((cpu_ns(pid) - cpu) / 1e9 / lasted)
                memory.append(_memory(pid))
                if count:
                    counters = receiver.all()
                    got = sum(one.packets for one in counters)
                    lost = sum(one.lost for one in counters) / max(1, got)
                    mbps = got * PAYLOAD * 8 / lasted / count / 1e6
        finally:
            source.publisher.stop()
            await asyncio.gather(flow, *(one.close() for one in seated), return_exceptions=True)
            receiver.close()
            await source.close()
    cost = (shares[2] - shares[0]) / viewers
    told = lost <= LOSS and mbps >= MBPS
    return {
        "webrtc_viewers_per_core": round(1 / cost) if told else None,
        "webrtc_not_measured": None if told else "this machine could not take in what was sent",
        "webrtc_viewers": viewers,
        "webrtc_mbps": round(mbps, 2),
        "webrtc_loss": round(lost, 5),
        "webrtc_cpu_share": [round(share, 3) for share in shares],
        "webrtc_join_cpu_ms": round(joined / viewers * 1000, 1),
        "webrtc_memory_per_viewer_kb": round((memory[2] - memory[1]) / (viewers - viewers // 2) / 1000, 1),
    }


def options(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--seconds", type=float, default=40.0, help="how long the viewer's screen is read")
    parser.add_argument("--players", type=int, default=40, help="simulated players of HLS")
    parser.add_argument("--spectators", type=int, default=120, help="simulated players of WHEP")
    parser.add_argument("--listeners", type=int, default=5000, help="open event streams")


def run(seconds: float = 40.0, players: int = 40, listeners: int = 5000, spectators: int = 120) -> dict[str, Any]:
    """See the module text."""
    with tempfile.TemporaryDirectory(prefix="consilium-broadcast-") as folder:
        root = Path(folder)
        audience = asyncio.run(_audience(root, 10.0, players, listeners))
        print(f"audience: {audience}", file=sys.stderr)
        near = asyncio.run(_realtime(root, 10.0, spectators))
        print(f"realtime: {near}", file=sys.stderr)
        stage = asyncio.run(_stage(root, seconds))
    return {**stage, **near, **audience}
