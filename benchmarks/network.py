"""What a viewer on a bad network sees and hears: freezes, frame rate, resolution, concealed sound, recovery.

The real server, a real Chromium that publishes (fake camera at 720p, fake microphone) and a real Chromium that watches,
each in a network namespace of its own. Only the viewer's link is bad, in both directions; it is a link of our own
making (`benchmarks/harness/network.py`), as the kernel here may have no netem. A freeze is what the WebRTC statistics
call one: a gap between two shown frames of more than three times the mean one, and more than it by 150 ms; gaps are
measured in the page, at each frame that is presented. Encoding, decoding and the server share this machine's cores, so
that `loss0` says what the machine alone does; `waited` is how long the server stood in line for a core.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from benchmarks.figures import percentile
from benchmarks.harness.browsers import CHROMIUM, chromium
from benchmarks.harness.network import CannotShape, Link, Namespace
from benchmarks.harness.server import ServerProcess
from benchmarks.harness.shaper import Shape
from benchmarks.load.process import cpu_ns, load_average, waited_ns

SERVER = "10.77.0.1"
FULL_HEIGHT = 720
WARM_UP = 25.0
SAMPLE_MS = 250

WATCH = """
(() => {
  const Connection = window.RTCPeerConnection;
  const connections = [];
  window.RTCPeerConnection = class extends Connection {
    constructor(...values) { super(...values); connections.push(this); }
  };
  window.__frames = [];
  window.__samples = [];
  const follow = (video) => {
    const note = (now) => { window.__frames.push(now); video.requestVideoFrameCallback(note); };
    video.requestVideoFrameCallback(note);
  };
  window.setInterval(async () => {
    // One's own picture is a mirror image; the other person's is not.
    for (const video of document.querySelectorAll('[data-testid="tile"] video:not(.mirror)')) {
      if (!video.__followed) { video.__followed = true; follow(video); }
    }
    const sample = {at: performance.now()};
    for (const connection of connections.filter((one) => one.connectionState === 'connected')) {
      for (const report of (await connection.getStats()).values()) {
        if (report.type === 'inbound-rtp') sample[report.kind] = report;
        if (report.type === 'outbound-rtp' && report.kind === 'video') (sample.outbound ??= []).push(report);
        if (report.type === 'candidate-pair' && report.nominated) sample.round_trip = report.currentRoundTripTime;
      }
    }
    window.__samples.push(sample);
  }, SAMPLE_MS);
})();
""".replace("SAMPLE_MS", str(SAMPLE_MS))


@dataclass(frozen=True)
class Condition:
    """The viewer's link during `phases`, each for some seconds. Loss and jitter are the same in both directions, the
    round trip is halved between them, the rate holds towards the viewer."""

    name: str
    phases: tuple[tuple[float, Shape], ...]


def _steady(name: str, seconds: float = 30.0, **shape: float) -> Condition:
    return Condition(name, ((seconds, Shape(**shape)),))


CONDITIONS = (
    _steady("loss0", delay=0.025),
    _steady("loss2", delay=0.025, loss=0.02),
    _steady("loss5", delay=0.025, loss=0.05),
    _steady("loss10", delay=0.025, loss=0.10),
    _steady("jitter30", delay=0.040, jitter=0.030),
    _steady("rtt250", delay=0.125),
    _steady("rtt250_loss5", delay=0.125, loss=0.05),
    Condition(
        "drop",
        (
            (15.0, Shape(rate=3e6, delay=0.025)),
            (20.0, Shape(rate=3e5, delay=0.025)),
            (25.0, Shape(rate=3e6, delay=0.025)),
        ),
    ),
)
CALM = Shape(delay=0.025)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    names = [condition.name for condition in CONDITIONS]
    parser.add_argument("--only", choices=names, action="append", help="this condition only (may be repeated)")
    parser.add_argument("--plane", choices=("auto", "python", "native"), default="auto", help="which plane forwards")
    wishes = ("auto", "always", "off")
    parser.add_argument("--redundancy", choices=wishes, default="auto", help="when sound is sent twice (Opus RED)")


def _up(shape: Shape) -> Shape:
    return replace(shape, rate=None)


# --- from what the page noted to figures ----------------------------------------------------------


def freezes(frames: Sequence[float], began: float, end: float) -> list[float]:
    """Gaps in ms that count as freezes, from the times in ms at which frames were shown and that of the end: longer
    than three times the mean of the 30 before, and than that mean and 150 ms. No picture at all is one long freeze."""
    gaps = [after - before for before, after in itertools.pairwise([*frames, end])]
    if len(gaps) < 2:
        return [end - began]
    found = []
    for at, gap in enumerate(gaps):
        before = gaps[max(0, at - 30) : at]
        if before and gap > max(3 * (mean := statistics.fmean(before)), mean + 150):
            found.append(gap)
    return found


def _rate(samples: Sequence[dict[str, Any]], kind: str, field: str) -> list[tuple[float, float]]:
    """A counter's growth per second between samples, at the later one's time in s."""
    known = [(s["at"] / 1000, s[kind].get(field, 0)) for s in samples if kind in s]
    pairs = itertools.pairwise(known)
    return [(t2, (v2 - v1) / (t2 - t1)) for (t1, v1), (t2, v2) in pairs if t2 > t1 and v2 >= v1]


def _growth(samples: Sequence[dict[str, Any]], kind: str, field: str) -> float:
    known = [s[kind].get(field, 0) for s in samples if kind in s]
    return float(known[-1] - known[0]) if known else 0.0


def figures(samples: Sequence[dict[str, Any]], frames: Sequence[float]) -> dict[str, Any]:
    """One condition's JSON, from the samples and frame times (ms) of its duration."""
    began = samples[0]["at"] / 1000
    took = samples[-1]["at"] / 1000 - began
    frozen = freezes(frames, samples[0]["at"], samples[-1]["at"])
    heights: list[tuple[float, int, int]] = []
    for sample in samples:
        video = sample.get("video", {})
        size = (int(video.get("frameWidth", 0)), int(video.get("frameHeight", 0)))
        if not heights or size != heights[-1][1:]:
            heights.append((round(sample["at"] / 1000 - began, 2), *size))
    sound = _growth(samples, "audio", "totalSamplesReceived")
    bits = [8 * rate for _, rate in _rate(samples, "video", "bytesReceived")]
    rates = [rate for _, rate in _rate(samples, "video", "framesDecoded")]
    return {
        "max_freeze_ms": round(max(frozen, default=0.0)),
        "longest_gap_ms": round(max((b - a for a, b in itertools.pairwise(frames)), default=took * 1000)),
        "freezes": len(frozen),
        "frozen_share": round(sum(frozen) / 1000 / took, 4),
        "frames_per_second": round(max(0, len(frames) - 1) / took, 1),
        "frames_per_second_p5": round(percentile(rates, 5), 1) if rates else 0.0,
        "resolution": [{"at_s": at, "width": width, "height": height} for at, width, height in heights],
        "video_kbps": round(statistics.fmean(bits) / 1000) if bits else 0,
        "audio_kbps": round(8 * _growth(samples, "audio", "bytesReceived") / 1000 / took),
        "audio_concealed_share": round(_growth(samples, "audio", "concealedSamples") / sound, 4) if sound else None,
        "audio_silent_concealed_share": (
            round(_growth(samples, "audio", "silentConcealedSamples") / sound, 4) if sound else None
        ),
        "packets_lost": int(_growth(samples, "video", "packetsLost")),
        "retransmitted": int(_growth(samples, "video", "retransmittedPacketsReceived")),
        "nacks": int(_growth(samples, "video", "nackCount")),
        "plis": int(_growth(samples, "video", "pliCount")),
        "seconds": round(took, 1),
    }


def recovery(samples: Sequence[dict[str, Any]], dropped: float, restored: float) -> dict[str, Any]:
    """Times are the page's, in ms. `recovery_s`: from the rate's return to the first sample with the picture's height
    and three quarters of the frame rate of before the drop; None if they never come back."""

    def height(sample: dict[str, Any]) -> int:
        return int(sample.get("video", {}).get("frameHeight", 0))

    before = [s for s in samples if dropped - 5000 <= s["at"] < dropped]
    while_low = [s for s in samples if dropped <= s["at"] < restored]
    after = [s for s in samples if s["at"] >= restored]
    wanted = max((height(s) for s in before), default=0)
    pace = statistics.fmean([rate for _, rate in _rate(before, "video", "framesDecoded")] or [0.0])
    back = None
    for at in range(4, len(after)):
        second = after[at - 4 : at + 1]
        rates = [rate for _, rate in _rate(second, "video", "framesDecoded")]
        if all(height(s) >= wanted for s in second) and rates and statistics.fmean(rates) >= 0.75 * pace:
            back = round((second[0]["at"] - restored) / 1000, 2)
            break
    return {
        "recovery_s": back,
        "height_before": wanted,
        "height_lowest": min((height(s) for s in while_low), default=0),
        "frames_per_second_before": round(pace, 1),
    }


# --- the stage ------------------------------------------------------------------------------------


async def _enter(browser: Browser, link: str, name: str, camera: bool) -> Page:
    context = await browser.new_context(
        permissions=["microphone", "camera"], locale="en-US", viewport={"width": 1600, "height": 1000}
    )
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(link)
    await page.fill('[data-testid="name"]', name)
    for device in ("camera", "microphone"):
        button = f'[data-testid="prejoin-{device}"]'
        await page.wait_for_selector(f'{button}[aria-pressed="true"]')  # it has opened
        if not camera:
            await page.click(button)
            await page.wait_for_selector(f'{button}[aria-pressed="false"]')
    await page.click('[data-testid="join"]')
    await page.wait_for_selector('[data-testid="stage"]')
    return page


async def _noted(page: Page, since: float) -> tuple[list[dict[str, Any]], list[float]]:
    noted = await page.evaluate(
        "(since) => ({samples: window.__samples.filter((s) => s.at >= since),"
        " frames: window.__frames.filter((at) => at >= since)})",
        since,
    )
    return noted["samples"], noted["frames"]


async def _now(page: Page) -> float:
    return float(await page.evaluate("() => performance.now()"))


async def _full_picture(page: Page) -> bool:
    """Waits for the largest picture; false when it does not come."""
    for _ in range(int(WARM_UP * 4)):
        samples = (await _noted(page, await _now(page) - 1500))[0]
        if samples and all(s.get("video", {}).get("frameHeight", 0) >= FULL_HEIGHT for s in samples[-3:]):
            return True
        await asyncio.sleep(0.25)
    return False


async def run_condition(condition: Condition, viewer: Page, source: Page, link: Link, server: int) -> dict[str, Any]:
    """One condition, after the network was calm long enough for the full picture."""
    await link.shape(CALM, _up(CALM))
    full = await _full_picture(viewer)
    busy, used, waited = load_average(), cpu_ns(server), waited_ns(server)
    marks = []
    for seconds, shape in condition.phases:
        await link.shape(shape, _up(shape))
        marks.append(await _now(viewer))
        await asyncio.sleep(seconds)
    samples, frames = await _noted(viewer, marks[0])
    counters = await link.shape(CALM, _up(CALM))
    took = (samples[-1]["at"] - samples[0]["at"]) * 1e6
    sent = (await _noted(source, await _now(source) - 1000))[0][-1].get("outbound", [])
    found = figures(samples, frames) | {
        "full_picture_before": full,
        "server_cpu": round((cpu_ns(server) - used) / took, 3),
        "waited": round((waited_ns(server) - waited) / took, 3),
        "load_average": busy,
        "link": counters,
        "publisher": [
            {
                key: report.get(key)
                for key in ("rid", "frameHeight", "framesPerSecond", "qualityLimitationReason", "active")
            }
            for report in sent
        ],
    }
    if len(marks) == 3:
        dropped, restored = marks[1], marks[2]
        found |= recovery(samples, dropped, restored)
        late = freezes([at for at in frames if at >= dropped], dropped, samples[-1]["at"])
        found["max_freeze_ms"] = round(max(late, default=0.0))
    print(f"network: {condition.name}: {found}", file=sys.stderr)
    return found


async def _measure(wanted: Sequence[Condition], plane: str, redundancy: str, stack: AsyncExitStack) -> dict[str, Any]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="network-")))
    places: dict[str, Namespace] = {}
    for name in ("server", "viewer", "source"):
        places[name] = Namespace(f"consilium-{name}")
        stack.callback(places[name].remove)
    places["server"].address(SERVER)
    stack.enter_context(places["server"].inside())
    links = {}
    for number, name in enumerate(("viewer", "source"), 1):
        links[name] = Link(places["server"], places[name], number, SERVER)
        stack.push_async_callback(links[name].stop)
        await links[name].start(CALM if name == "viewer" else Shape(), _up(CALM) if name == "viewer" else Shape())
    server = ServerProcess(
        folder / "server",
        captions_enabled="false",
        host=SERVER,
        media_host=SERVER,
        media_plane=plane,
        media_redundancy=redundancy,
    )
    server.url = f"http://{SERVER}:{server.port}"
    await stack.enter_async_context(server)
    pages = {}
    for name, link in (("source", "host"), ("viewer", "guest")):
        program = places[name].wrapper(CHROMIUM, folder)
        browser = await stack.enter_async_context(chromium(program=program, trusting=server.url))
        address = server.links[link]
        pages[name] = await _enter(browser, address, name.title(), camera=name == "source")
    found: dict[str, Any] = {}
    for condition in wanted:
        found[condition.name] = await run_condition(
            condition, pages["viewer"], pages["source"], links["viewer"], server.pid
        )
    return found


async def _run(wanted: Sequence[Condition], plane: str, redundancy: str) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        return await _measure(wanted, plane, redundancy, stack)


def run(only: list[str] | None = None, plane: str = "auto", redundancy: str = "auto") -> dict[str, Any]:
    """The figures by condition; see the module."""
    print((__doc__ or "").strip(), file=sys.stderr)
    wanted = [condition for condition in CONDITIONS if only is None or condition.name in only]
    try:
        found = asyncio.run(_run(wanted, plane, redundancy))
    except CannotShape as reason:
        return {condition.name: None for condition in wanted} | {"absent": str(reason)}
    return found | {
        "shaper": "a userspace link of two TUN devices (rate, 400 ms of queue, delay, jitter, loss), both directions",
        "plane": plane,
        "redundancy": redundancy,
        "load_average": load_average(),
        "measured": "one Chromium publishes 720p, one watches; freezes from the times of presented frames",
    }
