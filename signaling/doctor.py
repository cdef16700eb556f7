"""`consilium doctor`: what the server needs, checked; each line says what to do."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from signaling import doctor_network as network
from signaling.doctor_redis import redis
from signaling.finding import Line
from signaling.origin import is_loopback
from signaling.settings import FILE, PREFIX, Settings

Check = Callable[[], Awaitable[list[Line]]]


def settings_in_force(config: Path | None) -> list[Line]:
    """Where the settings come from."""
    path = config or Path(FILE)
    variables = sum(1 for name in os.environ if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG")
    text = str(path) if path.is_file() else "no file"
    return [Line("ok", "settings", f"{text}, {variables} of the environment, the rest as built in")]


def models(settings: Settings) -> list[Line]:
    """The speech model and the translation models, hashed."""
    from captioning.models import ModelError, default_folder, verify

    if not settings.captions.enabled:
        return [Line("warn", "captions", "switched off by captions.enabled")]
    folder = Path(settings.models).expanduser() if settings.models else default_folder()
    try:
        found = verify(folder)
    except ModelError as error:
        return [Line("fail", "models", str(error), "see `consilium models list`.")]
    lines = [
        Line("ok", "models", f"{one.name} verified")
        if one.state == "installed"
        else Line(
            "fail", "models", f"{one.name}: {one.problem or one.state}", f"run `consilium models pull {one.name}`."
        )
        for one in found
    ]
    if settings.captions.model not in {one.name for one in found}:
        advice = f"run `consilium models pull {settings.captions.model}`."
        lines.append(Line("warn", "models", f"{settings.captions.model} is not in {folder} yet", advice))
    return lines


async def database(settings: Settings) -> list[Line]:
    """A database of its own answers; the SQLite file is made by the first start."""
    from sqlalchemy.exc import ArgumentError

    from community.database import Database, DatabaseUnavailable

    if not settings.database.url:
        return []
    try:
        there = Database(settings.database_url)
        try:
            return [Line("ok", "database", await asyncio.wait_for(there.answers(), 10))]
        finally:
            await there.close()
    except (DatabaseUnavailable, ArgumentError) as error:
        return [Line("fail", "database", str(error), "check database.url, and that the server lets this one in.")]
    except TimeoutError:
        return [Line("fail", "database", "no answer for ten seconds", "check the address and the firewall.")]


def disk(settings: Settings) -> list[Line]:
    """Free space where data and recordings go."""
    lines = []
    for subject, folder in (("data", settings.data), ("recordings", settings.recordings_dir)):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".doctor"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            lines.append(Line("fail", subject, f"{folder}: {error.strerror}", "make it writable for this user."))
            continue
        free = shutil.disk_usage(there).free / 1e9
        text = f"{folder}: {free:.1f} GB free"
        enough = free * 1000 >= max(2000, settings.recordings.min_free_mb)
        advice = "an hour of recording takes about 1 GB per camera; free some space."
        lines.append(Line("ok", subject, text) if enough else Line("warn", subject, text, advice))
    return lines


def browsers(settings: Settings) -> list[Line]:
    """Cameras need a secure page."""
    url = settings.public_url
    local = is_loopback(settings.host) or settings.host == "localhost"
    if url.startswith("https://") or settings.tls.mode == "files":
        return [Line("ok", "browsers", "pages come by HTTPS: cameras and microphones work")]
    if settings.tls.mode == "self-signed":
        advice = "use tls.mode = files with a certificate that browsers know, or a reverse proxy."
        return [Line("warn", "browsers", "the certificate is self-made: browsers warn once per device", advice)]
    if local and not url:
        return [Line("ok", "browsers", "on this machine only: browsers allow cameras on localhost without HTTPS")]
    advice = "set tls.mode, or put a reverse proxy with HTTPS in front and set public_url."
    return [Line("fail", "browsers", "pages come without HTTPS: browsers give no camera and no microphone", advice)]


def clock(_: Settings) -> list[Line]:
    """Grants and certificates need the right year at least."""
    now = datetime.datetime.now(datetime.UTC)
    if now.year < 2025:
        return [
            Line("fail", "clock", f"it says {now:%Y-%m-%d}", "set the clock: grants and certificates depend on it.")
        ]
    return [Line("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC")]


def plane(settings: Settings) -> list[Line]:
    """Which media plane would forward."""
    from sfu.server import Sfu, SfuConfig

    try:
        sfu = Sfu(SfuConfig(plane=settings.media.plane))
    except ValueError as error:
        return [Line("fail", "plane", str(error), "set media.plane to auto or python.")]
    threads, cores = settings.media.threads, len(os.sched_getaffinity(0))
    if sfu.plane_name == "python":
        if threads > 1:
            advice = "media.threads is for the native plane: install Rust and run make again."
            return [Line("warn", "plane", "python, which forwards on one core", advice)]
        return [Line("ok", "plane", "python (works everywhere; the native one forwards more)")]
    text = f"{sfu.plane_name}, {threads} thread{'s' * (threads > 1)} on {cores} core{'s' * (cores > 1)}"
    if threads > cores:
        return [Line("warn", "plane", text, "more threads than cores only cost: lower media.threads.")]
    return [Line("ok", "plane", text)]


def client(_: Settings) -> list[Line]:
    """The web client is built."""
    from web import STATIC

    if (STATIC / "index.html").is_file():
        return [Line("ok", "web", "the client is built")]
    return [Line("fail", "web", "the web client is not built", "run `make web` (needs Node 20).")]


async def check_all(settings: Settings, config: Path | None = None, resolve: bool = False) -> list[Line]:
    """Every check; one that breaks is a failure of its own, not of the rest. Nothing outside is asked, but for the
    TURN servers of the settings, and the DNS with `resolve`."""

    def local(check: Callable[[Settings], list[Line]]) -> Check:
        return partial(asyncio.to_thread, check, settings)

    checks: tuple[tuple[str, Check], ...] = (
        ("settings", partial(asyncio.to_thread, settings_in_force, config)),
        ("ports", partial(network.ports, settings)),
        ("addresses", partial(network.addresses, settings, resolve)),
        ("browsers", local(browsers)),
        ("certificate", partial(network.certificate, settings)),
        ("turn", partial(network.turn_servers, settings)),
        ("plane", local(plane)),
        ("round trip", partial(network.media, settings)),
        ("models", local(models)),
        ("redis", partial(redis, settings)),
        ("web", local(client)),
        ("database", partial(database, settings)),
        ("disk", local(disk)),
        ("clock", local(clock)),
    )
    lines: list[Line] = []
    for name, check in checks:
        try:
            lines += await check()
        except Exception as error:
            lines.append(Line("fail", name, f"{type(error).__name__}: {error}", "please report this."))
    return lines
