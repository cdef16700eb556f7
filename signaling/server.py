"""The process: every part built from the settings, started in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from captioning.config import CaptionConfig
from captioning.models import default_folder
from captioning.service import CaptionService
from community.store import Store
from recorder.service import Recorder, RecordingNotFound
from sfu.server import Sfu, SfuConfig
from signaling import aired, demo_room, tls
from signaling.app import make_app
from signaling.call import Services, Throttles
from signaling.exports import Exports
from signaling.grants import Grants, load_secret
from signaling.guest import DemoGuest
from signaling.hub import Hub
from signaling.library import Library
from signaling.loopback import Checks
from signaling.metrics import Metrics
from signaling.origin import Origins
from signaling.retranscriptions import Retranscriptions
from signaling.room import Parts
from signaling.settings import Settings
from signaling.shell import Shell
from signaling.shelves import shelf
from signaling.socket import Sockets
from signaling.thumbnails import Sheets
from web import STATIC

log = structlog.get_logger("server")

STOP_WITHIN = 20.0


@dataclass(frozen=True)
class ServerLinks:
    """What is printed at the start. `setup` is None once there is an administrator; demo links None without demo."""

    url: str
    host: str | None
    guest: str | None
    viewer: str | None
    setup: str | None


def caption_config(settings: Settings) -> CaptionConfig:
    """The captioning part's own settings."""
    words = settings.captions
    return CaptionConfig(
        enabled=words.enabled,
        models=Path(settings.models).expanduser() if settings.models else default_folder(),
        model=words.model,
        device=words.device,
        compute_type=words.compute,
        spoken=tuple(words.spoken),
        translators=tuple(words.translators),
        translators_first=words.translators_first,
        beam=words.beam,
        threads=words.threads,
        workers=words.workers,
        redis_url=words.redis_url,
    )


class Server:
    """One Consilium."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.secret = load_secret(settings.data, settings.secret)
        self.store = Store(settings.database_url)
        media = settings.media
        self.sfu = Sfu(
            SfuConfig(
                host=media.host,
                port=media.port,
                public_addresses=tuple(media.public_addresses),
                plane=media.plane,
                threads=media.threads,
                max_bitrate=media.max_bitrate,
                redundancy=media.redundancy,
                video_codec="H264" if media.video_codec == "h264" else "VP9",
            )
        )
        self.captions = CaptionService(caption_config(settings))
        self.shelf = shelf(settings)
        self.recorder = Recorder(settings.recordings_dir, self.shelf)
        self.metrics = Metrics()
        parts = Parts(settings, self.sfu, self.captions, self.recorder, self.store, self.metrics, self.secret)
        grants = Grants(self.secret, settings.limits.grant_seconds)
        self.hub = Hub(parts, grants)
        self.metrics.watch(
            self.sfu.stats, self.captions.status, self.hub.counts, self.shelf.standing, self.hub.audience
        )
        self.exports = Exports(self.shelf, settings.data / "exports")
        sheets = Sheets()
        self.library = Library(
            self.store,
            self.recorder,
            self.exports,
            settings.questions.keep_days,
            self.captions.translate,
            sheets.forget,
        )
        self.retranscriptions = Retranscriptions(
            settings.recordings_dir, self.captions.config, self.library, self.store
        )
        self.sockets = Sockets(self.hub, settings.limits.sockets_per_address, settings.limits.message_bytes)
        services = Services(
            settings=settings,
            store=self.store,
            grants=grants,
            hub=self.hub,
            captions=self.captions,
            exports=self.exports,
            origins=Origins(settings),
            throttles=Throttles.standard(),
            setup_code=demo_room.code(self.secret, "setup"),
            library=self.library,
            retranscriptions=self.retranscriptions,
            secret=self.secret,
            sheets=sheets,
        )
        self.checks = Checks(self.sfu.open_room, settings.turn)
        self.app = make_app(services, Shell(STATIC), self.metrics, self.sockets, self.checks)
        self.services = services
        self._runner: web.AppRunner | None = None
        self._stack = contextlib.AsyncExitStack()
        self.port = settings.port

    async def start(self) -> None:
        """Everything up. Raises OSError (a port is taken), SettingsError (a certificate cannot be used)."""
        context: ssl.SSLContext | None = tls.context(self.settings)
        try:
            await self.store.open()
            self._stack.push_async_callback(self.store.close)
            await self.store.chat.forget(None)
            await self._repair()
            await self.sfu.start()
            self._stack.push_async_callback(self.sfu.stop)
            self._stack.callback(self.checks.stop)
            await self.captions.start()
            self._stack.push_async_callback(self.captions.stop)
            self._stack.push_async_callback(self.recorder.stop)
            self._stack.push_async_callback(self.exports.stop)
            self.library.start()
            self._stack.push_async_callback(self.library.stop)
            self._stack.push_async_callback(self.retranscriptions.stop)
            self.hub.start()
            self._stack.push_async_callback(self.hub.stop)
            self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=3.0, keepalive_timeout=30.0)
            await self._runner.setup()
            self._stack.push_async_callback(self._runner.cleanup)
            self._stack.push_async_callback(self.sockets.close)
            site = web.TCPSite(self._runner, self.settings.host, self.settings.port, ssl_context=context, backlog=512)
            await site.start()
            self.port = self._runner.addresses[0][1]
        except BaseException:
            await self._stack.aclose()
            raise
        log.info("started", port=self.port, media_port=self.sfu.port, plane=self.sfu.plane_name)

    async def _repair(self) -> None:
        """Recordings that a crash left behind become replays again."""
        for recording in await self.recorder.start():
            log.warning("recording repaired", recording=recording)
        for recording in await self.store.recordings.unfinished():
            try:
                await self.library.manifest(recording)
                await self.store.recordings.ended(recording, "ready", "the server stopped while it ran")
            except RecordingNotFound:
                await self.store.recordings.ended(recording, "failed", "nothing was left of it")
        for row in await self.store.broadcasts.interrupted():
            try:
                left = await self.library.manifest(row.recording_id or "")
                await aired.finish(self.store, row, left.duration)
            except RecordingNotFound:
                await aired.finish(self.store, row, None)

    async def stop(self) -> None:
        """People are told, recordings finished, words flushed, ports closed."""
        # Sockets are told by the hub first; the stack then goes from the web server down to the database.
        await self.hub.stop()
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where people reach us."""
        return self.settings.public_url.rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """Where this machine reaches us."""
        host = self.settings.host
        host = "127.0.0.1" if host in ("", "0.0.0.0") else "[::1]" if host == "::" else host
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{'http' if self.settings.tls.mode == 'off' else 'https'}://{host}:{self.port}"

    async def links(self) -> ServerLinks:
        """What is printed at the start."""
        codes: dict[str, str] = {}
        if self.settings.demo_room:
            codes = await demo_room.open_demo(self.store, self.secret)
        administered = await self.store.members.have_administrator()
        return ServerLinks(
            url=self.url,
            host=f"{self.url}/j/{codes['host']}" if codes else None,
            guest=f"{self.url}/j/{codes['guest']}" if codes else None,
            viewer=f"{self.url}/j/{codes['viewer']}" if codes else None,
            setup=None if administered else f"{self.url}/setup/{self.services.setup_code}",
        )


def describe(links: ServerLinks) -> str:
    """The links as a person reads them."""
    lines = ["", f"  Consilium is at {links.url}", ""]
    if links.guest:
        lines += [
            "  Demo room:",
            f"    guest   {links.guest}",
            f"    host    {links.host}",
            f"    viewer  {links.viewer}",
            "",
        ]
    if links.setup:
        lines += ["  Make the first administrator (works once):", f"    {links.setup}", ""]
    return "\n".join(lines)


async def serve(settings: Settings, json_links: Path | None, demo: bool) -> None:
    """Runs until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    server = Server(settings)
    await server.start()
    guest: DemoGuest | None = None
    try:
        links = await server.links()
        print(describe(links), flush=True)
        if json_links is not None:
            await asyncio.to_thread(_write_links, json_links, links)
        if demo and links.guest is not None:
            guest = DemoGuest(server.local_url + links.guest.removeprefix(server.url))
            guest.start()
        await stopping.wait()
        log.info("stopping")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second one ends us at once
        if guest is not None:
            await guest.stop()
        async with asyncio.timeout(STOP_WITHIN):
            await server.stop()


def _write_links(path: Path, links: ServerLinks) -> None:
    import json
    import os
    from dataclasses import asdict

    temporary = path.with_name(path.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(links), file)
    temporary.replace(path)
