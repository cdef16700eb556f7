"""Chromium and Firefox with fake cameras and a microphone that plays a file; neither calls home.

Chromium is driven by Playwright, Firefox ESR by Marionette (Playwright's own Firefox
build cannot be had from a package).
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox") or "/usr/bin/firefox-esr"

CHROMIUM_FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
)

FIREFOX_PREFS: dict[str, Any] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    # Fake devices do not count as capturing: without the permission only the default route is used, never loopback.
    "permissions.default.microphone": 1,
    "permissions.default.camera": 1,
    # Host candidates in the clear: hiding them needs multicast DNS, which is traffic to the outside.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.block-webaudio": False,
    # Firefox looks for updates, experiments and captive portals at every start; nothing here may leave the machine.
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


def wav_from(audio: Path, destination: Path, *, lead_seconds: float = 0.0, tail_seconds: float = 0.0) -> Path:
    """Decode an audio file to the 48 kHz mono 16-bit WAV that Chromium's fake microphone wants, silence around it."""
    rate = 48_000
    with av.open(str(audio)) as source, av.open(str(destination), "w", format="wav") as sink:
        stream = sink.add_stream("pcm_s16le", rate=rate, layout="mono")
        resampler = AudioResampler(format="s16", layout="mono", rate=rate)

        def write(frame: av.AudioFrame | None) -> None:
            for packet in stream.encode(frame):
                sink.mux(packet)

        def silence(seconds: float) -> None:
            for _ in range(int(seconds * 50)):
                frame = av.AudioFrame(format="s16", layout="mono", samples=rate // 50)
                frame.sample_rate = rate
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                write(frame)

        silence(lead_seconds)
        for frame in source.decode(audio=0):
            for resampled in resampler.resample(frame):
                resampled.pts = None
                write(resampled)
        silence(tail_seconds)
        write(None)
    return destination


@asynccontextmanager
async def chromium(
    *,
    microphone: Path | None = None,
    loop_microphone: bool = False,
    mark: str = "",
    program: Path | str = CHROMIUM,
    trusting: str | None = None,
) -> AsyncIterator[Browser]:
    """A headless Chromium whose fake microphone plays the WAV file `microphone` (beeps without one).

    `mark` is a word put on its command line, to find its processes by. `program` may be a script that starts it
    elsewhere; the origin `trusting` counts as secure without TLS.
    """
    flags = [*CHROMIUM_FLAGS, *([f"--{mark}"] if mark else [])]
    if trusting is not None:
        flags.append(f"--unsafely-treat-insecure-origin-as-secure={trusting}")
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}{'' if loop_microphone else '%noloop'}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=flags)
        try:
            yield browser
        finally:
            await browser.close()


class Firefox:
    """A headless Firefox. Marionette blocks, so every call runs in a thread."""

    def __init__(self) -> None:
        self._driver: Any = None

    async def start(self) -> None:
        def launch() -> Any:
            from marionette_driver.marionette import Marionette

            # Its fixed default port would make two Firefoxes on one machine drive each other.
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            driver = Marionette(bin=FIREFOX, port=port, headless=True, prefs=FIREFOX_PREFS, startup_timeout=90)
            driver.start_session()
            driver.timeout.script = 60
            return driver

        self._driver = await asyncio.to_thread(launch)

    async def goto(self, url: str) -> None:
        await asyncio.to_thread(self._driver.navigate, url)

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page and return its value (JSON)."""
        return await asyncio.to_thread(self._driver.execute_script, script, list(arguments), sandbox=None)

    async def until(self, script: str, *arguments: Any, timeout: float = 30.0) -> Any:
        """Wait until `script` returns something true; raises TimeoutError with the page's text otherwise."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not (value := await self.run(script, *arguments)):
            if asyncio.get_running_loop().time() > deadline:
                text = await self.run("return document.body.innerText.slice(0, 2000)")
                raise TimeoutError(f"firefox: not true within {timeout} s: {script}\n{text}")
            await asyncio.sleep(0.1)
        return value

    async def click(self, selector: str) -> None:
        # A real click, not a script's: only that counts as the person's consent to sound.
        await asyncio.to_thread(lambda: self._driver.find_element("css selector", selector).click())

    async def fill(self, selector: str, value: str) -> None:
        await self.run(
            "const e = document.querySelector(arguments[0]);"
            "const p = e instanceof HTMLSelectElement ? HTMLSelectElement : HTMLInputElement;"
            "Object.getOwnPropertyDescriptor(p.prototype, 'value').set.call(e, arguments[1]);"
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true}));",
            selector,
            value,
        )

    async def screenshot(self, path: Path) -> None:
        data: bytes = await asyncio.to_thread(self._driver.screenshot, format="binary", full=False)
        path.write_bytes(data)

    async def stop(self) -> None:
        if self._driver is not None:
            await asyncio.to_thread(self._driver.quit)


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    browser = Firefox()
    await browser.start()
    try:
        yield browser
    finally:
        await browser.stop()


def watch_console(page: Page, sink: Callable[[str], None] = print) -> None:
    """Print what the page complains of: without it a failing browser test says nothing."""
    page.on("console", lambda message: sink(f"[{message.type}] {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: sink(f"[pageerror] {error}"))
