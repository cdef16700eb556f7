"""`consilium doctor`: what the server needs, checked; each line says what to do."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signaling.origin import is_loopback
from signaling.settings import Settings


@dataclass(frozen=True)
class Line:
    """One finding; `advice` says what to do about it."""

    state: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    advice: str = ""


def _bindable(host: str, port: int, kind: socket.SocketKind) -> str | None:
    """Why a port cannot be bound; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def ports(settings: Settings) -> list[Line]:
    """The pages' port and the media port."""
    media = settings.media.host
    wanted = (
        ("pages", settings.host, settings.port, socket.SOCK_STREAM, "TCP"),
        ("media", media, settings.media.port, socket.SOCK_DGRAM, "UDP"),
        ("media", media, settings.media.port, socket.SOCK_STREAM, "TCP"),
    )
    lines = []
    for subject, host, port, kind, name in wanted:
        problem = _bindable(host or "0.0.0.0", port, kind)
        text = f"{name} port {port} on {host or 'every address'}"
        if problem is None:
            lines.append(Line("ok", subject, f"{text} is free"))
        else:
            key = "port" if subject == "pages" else "media.port"
            advice = f"stop what uses it (perhaps Consilium runs already), or set {key} to another."
            lines.append(Line("fail", subject, f"{text}: {problem}", advice))
    return lines


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


def addresses(settings: Settings) -> list[Line]:
    """Where browsers are told to send media."""
    media = settings.media.host
    if settings.media.public_addresses:
        return [Line("ok", "addresses", "media goes to " + ", ".join(settings.media.public_addresses))]
    if is_loopback(media):
        return [Line("ok", "addresses", f"media stays on {media}: for people on this machine only")]
    advice = "behind NAT or in a container, set media.public_addresses to the address people reach."
    return [Line("warn", "addresses", "media goes to this machine's own addresses", advice)]


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
    if sfu.plane_name == "python":
        return [Line("ok", "plane", "python (works everywhere; the native one forwards more)")]
    return [Line("ok", "plane", sfu.plane_name)]


def client(_: Settings) -> list[Line]:
    """The web client is built."""
    from web import STATIC

    if (STATIC / "index.html").is_file():
        return [Line("ok", "web", "the client is built")]
    return [Line("fail", "web", "the web client is not built", "run `make web` (needs Node 20).")]


CHECKS: tuple[Callable[[Settings], list[Line]], ...] = (
    ports,
    addresses,
    browsers,
    plane,
    models,
    client,
    disk,
    clock,
)


async def check_all(settings: Settings) -> list[Line]:
    """Every check; one that breaks is a failure of its own, not of the rest."""
    lines: list[Line] = []
    for check in CHECKS:
        try:
            lines += await asyncio.to_thread(check, settings)
        except Exception as error:
            lines.append(Line("fail", check.__name__, f"{type(error).__name__}: {error}", "please report this."))
    return lines
