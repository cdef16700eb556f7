"""Real browsers that play a recording through hls.js: Chromium by Playwright, Firefox by Marionette."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

CHROMIUM = shutil.which("chromium")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

PAGE = b"""<!doctype html><title>replay</title><video id=v muted playsinline width=640></video>
<script src="/hls.js"></script><script>
const errors = [], shown = [];
const hls = new Hls({enableWorker: true});
const v = document.getElementById('v');
const ahead = () => {
  for (let i = 0; i < v.buffered.length; i++)
    if (v.buffered.start(i) <= v.currentTime && v.buffered.end(i) > v.currentTime + 1) return true;
  return false;
};
hls.on(Hls.Events.ERROR, (_, d) => {
  // with a second of media ahead, a busy machine's decoder is late: the recording lacks nothing
  if (!d.fatal && d.details === 'bufferStalledError' && ahead()) return;
  errors.push(`${d.fatal ? 'fatal ' : ''}${d.type} ${d.details} ${d.error?.message}`);
});
v.addEventListener('error', () => errors.push('fatal video ' + v.error?.message));
hls.loadSource('/media/master.m3u8'); hls.attachMedia(v);
const canvas = document.createElement('canvas'); canvas.width = 16; canvas.height = 9;
const ctx = canvas.getContext('2d', {willReadFrequently: true});
function colour() {
  ctx.drawImage(v, 0, 0, 16, 9);
  return [...ctx.getImageData(2, 1, 1, 1).data].slice(0, 3);
}
setInterval(() => {
  if (v.readyState < 2) return;
  const now = colour(), last = shown.at(-1);
  if (!last || now.some((one, i) => Math.abs(one - last[i]) > 8)) shown.push(now);
}, 50);
function state() {
  return {time: v.currentTime, duration: v.duration, ended: v.ended, ready: v.readyState,
    colour: v.readyState >= 2 ? colour() : null, shown, errors, width: v.videoWidth};
}
function end() {
  return new Promise(done => {
    if (v.ended) return done(state());
    v.addEventListener('ended', () => done(state()), {once: true});
    setTimeout(() => done(state()), 10000);
  });
}
function seek(time) {
  return new Promise(done => {
    v.addEventListener('seeked', () => requestAnimationFrame(() => setTimeout(() => done(state()), 150)), {once: true});
    v.currentTime = time;
    setTimeout(() => done(state()), 30000);
  });
}
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """Byte ranges over one folder, with hls.js and the page beside it."""

    protocol_version = "HTTP/1.1"
    hls: Path

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/":
            return self.answer(200, PAGE, "text/html")
        if self.path == "/hls.js":
            return self.answer(200, self.hls.read_bytes(), "text/javascript")
        file = Path(self.directory) / Path(self.path).name
        if not file.is_file():
            return self.answer(404, b"", "text/plain")
        kind = {".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4"}.get(file.suffix, "text/plain")
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            with file.open("rb") as opened:
                opened.seek(int(match[1]))
                size = file.stat().st_size
                end = min(int(match[2] or size - 1), size - 1)
                body = opened.read(end - int(match[1]) + 1)
            return self.answer(206, body, kind, f"bytes {match[1]}-{end}/{size}")
        return self.answer(200, file.read_bytes(), kind)

    def answer(self, status: int, body: bytes, kind: str, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)


@contextlib.contextmanager
def serve(folder: Path, hls: Path) -> Any:
    """The address of a server of `folder` under /media/."""
    handler = functools.partial(type("Bound", (Handler,), {"hls": hls}), directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class Page(Protocol):
    async def run(self, script: str) -> Any: ...


@contextlib.asynccontextmanager
async def chromium(url: str) -> AsyncIterator[Page]:
    from playwright.async_api import async_playwright

    arguments = ["--headless=new", "--no-sandbox", "--disable-background-networking"]
    arguments.append("--autoplay-policy=no-user-gesture-required")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = await browser.new_page()
        await page.goto(url)

        class Chromium:
            async def run(self, script: str) -> Any:
                return await page.evaluate(script)

        try:
            yield Chromium()
        finally:
            await browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def firefox(url: str) -> AsyncIterator[Page]:
    from marionette_driver.marionette import Marionette

    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="firefox-") as profile:
        preferences = {
            "marionette.port": port,
            "media.autoplay.default": 0,
            "app.update.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False,
            "toolkit.telemetry.enabled": False,
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "browser.safebrowsing.downloads.remote.enabled": False,
            "services.settings.server": "data:,#remote-settings-dummy/v1",
            "media.gmp-manager.updateEnabled": False,
        }
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        process = subprocess.Popen(  # noqa: ASYNC220
            [str(FIREFOX), "--headless", "--marionette", "--no-remote", "--profile", profile],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MOZ_HEADLESS": "1", "HOME": profile},
        )
        try:
            session = Marionette(host="127.0.0.1", port=port)
            await asyncio.to_thread(session.raise_for_port, 60)
            await asyncio.to_thread(session.start_session)
            await asyncio.to_thread(session.navigate, url)

            class Firefox:
                async def run(self, script: str) -> Any:
                    wrapped = f"const done = arguments[0]; Promise.resolve((async () => ({script}))()).then(done)"
                    return await asyncio.to_thread(
                        session.execute_async_script, wrapped, sandbox=None, script_timeout=60000, new_sandbox=False
                    )

            yield Firefox()
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
