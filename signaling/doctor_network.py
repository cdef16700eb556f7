"""What `consilium doctor` checks of the network: ports, addresses, certificate, TURN, and media itself if we run."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509

from sfu.addresses import candidate_addresses
from sfu.client import ClientTrack, MediaClient
from sfu.interface import TrackLabel
from sfu.peer import LinkKind
from sfu.streams import ReceivedPacket
from signaling import relay, tls, turn
from signaling.finding import Line
from signaling.origin import is_loopback
from signaling.settings import Settings, SettingsError

SOON = datetime.timedelta(days=14)
ROUND_TRIP_WITHIN = 5.0
ANSWER_WITHIN = 3.0
LOCAL_NAMES = ("localhost", "")


def local_url(settings: Settings) -> str:
    """Where a running server of these settings answers on this machine."""
    host = settings.host
    host = "127.0.0.1" if host in ("", "0.0.0.0") else "::1" if host == "::" else host
    scheme = "http" if settings.tls.mode == "off" else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _session() -> aiohttp.ClientSession:
    # Our own server on our own machine: its certificate is looked at by `certificate`, not here.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False), timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN), trust_env=False
    )


async def running(settings: Settings) -> bool:
    """Whether Consilium answers on the pages' port."""
    if settings.port == 0:
        return False
    try:
        async with _session() as http, http.get(f"{local_url(settings)}/healthz") as answer:
            return answer.headers.get("Server") == "Consilium" and (await answer.json())["status"] == "ok"
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError):
        return False


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


async def ports(settings: Settings) -> list[Line]:
    """The pages' port and the media port: free, or ours."""
    ours = await running(settings)
    media = settings.media.host
    lines = []
    for subject, host, port, kind, name in (
        ("pages", settings.host, settings.port, socket.SOCK_STREAM, "TCP"),
        ("media", media, settings.media.port, socket.SOCK_DGRAM, "UDP"),
        ("media", media, settings.media.port, socket.SOCK_STREAM, "TCP"),
    ):
        text = f"{name} port {port} on {host or 'every address'}"
        problem = _bindable(host or "0.0.0.0", port, kind)
        if problem is None:
            state = "is free, though Consilium runs: it uses other settings" if ours else "is free"
            lines.append(Line("warn" if ours and port else "ok", subject, f"{text} {state}"))
        elif ours:
            lines.append(Line("ok", subject, f"{text} is in use; Consilium runs"))
        else:
            key = "port" if subject == "pages" else "media.port"
            lines.append(Line("fail", subject, f"{text}: {problem}", f"stop what uses it, or set {key} to another."))
    return lines


async def media(settings: Settings) -> list[Line]:
    """If the server runs: sound goes up and comes back, by UDP and by TCP, as in a browser's check."""
    if not await running(settings):
        return [Line("ok", "round trip", "not tried: Consilium does not run with these settings")]
    lines = []
    for kind in ("udp", "tcp"):
        try:
            took, where = await _round_trip(local_url(settings), "udp" if kind == "udp" else "tcp")
            lines.append(Line("ok", "round trip", f"sound came back by {kind.upper()} from {where}, {took:.0f} ms"))
        except (TimeoutError, ConnectionError, OSError, ValueError, aiohttp.ClientError) as error:
            why = str(error) or "nothing came back"
            advice = f"allow {kind.upper()} to port {settings.media.port} in this machine's firewall."
            if isinstance(error, TimeoutError) and settings.media.public_addresses:
                # From inside, many routers do not lead back to one's own public address.
                advice += " Behind NAT this may be normal from the server itself: open /check from outside."
                lines.append(Line("warn", "round trip", f"{kind.upper()}: {why}", advice))
            else:
                lines.append(Line("fail", "round trip", f"{kind.upper()}: {why}", advice))
    return lines


async def _round_trip(url: str, kind: LinkKind) -> tuple[float, str]:
    """Milliseconds until the first sound came back, and the address it came from."""
    heard: asyncio.Queue[ReceivedPacket] = asyncio.Queue()
    begun: dict[str, Any] = {}
    client = MediaClient(on_packet=heard.put_nowait, transport=kind, name="doctor")
    async with _session() as http:

        async def ask(method: str, path: str, body: object = None) -> dict[str, Any]:
            async with http.request(method, url + path, json=body) as answer:
                data: dict[str, Any] = await answer.json()
                if answer.status >= 400:
                    raise ConnectionError(str(data.get("message", answer.status)))
                return data

        check = (await ask("POST", "/api/check", {}))["check"]
        place = f"/api/check/{check}/paths/{kind}"

        async def exchange(sdp: str, labels: list[TrackLabel]) -> str:
            begun.update(await ask("POST", place, {"sdp": sdp, "mid": labels[0].mid}))
            return str(begun["answer"])

        try:
            async with asyncio.timeout(ROUND_TRIP_WITHIN):
                await client.connect_publish([ClientTrack("microphone", "OPUS")], exchange)
                sdp = await client.answer(begun["offer"])
                await ask("POST", f"{place}/answer", {"sdp": sdp, "revision": begun["revision"]})
                await client.subscribed()
                for number in range(250):
                    sent = time.monotonic()
                    client.send_rtp(client.labels[0].mid, b"\xf8\xff\xfe", number * 960)
                    try:
                        await asyncio.wait_for(heard.get(), 0.02)
                    except TimeoutError:
                        continue
                    return (time.monotonic() - sent) * 1000, _candidate(begun["answer"])
            raise TimeoutError
        finally:
            await client.close()
            await ask("DELETE", f"/api/check/{check}")


def _candidate(sdp: str) -> str:
    """The first candidate, which the client takes."""
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            parts = line.split()
            return f"[{parts[4]}]:{parts[5]}" if ":" in parts[4] else f"{parts[4]}:{parts[5]}"
    return "nowhere"


def public_name(settings: Settings) -> str:
    """The host of public_url."""
    return (urlsplit(settings.public_url).hostname or "") if settings.public_url else ""


async def addresses(settings: Settings, resolve: bool = False) -> list[Line]:
    """Where browsers are told to send media, judged without asking anybody; `resolve` asks the DNS for public_url."""
    host, told = settings.media.host, settings.media.public_addresses
    name = public_name(settings)
    offered = candidate_addresses(host, tuple(told))
    mine = set(candidate_addresses("::")) | set(candidate_addresses("0.0.0.0"))
    # The world comes by a public name; a name of the own network says nothing.
    world = bool(name) and name not in LOCAL_NAMES and not name.endswith((".local", ".lan", ".internal", ".home.arpa"))
    lines = []
    for text in offered:
        address = ipaddress.ip_address(text)
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            lines.append(Line("fail", "addresses", f"no browser can reach {text}", "correct media.public_addresses."))
        elif address.is_loopback:
            reach = f"{text}: for people on this machine only"
            advice = "set media.public_addresses to an address that others can reach."
            lines.append(Line("warn", "addresses", reach, advice) if world else Line("ok", "addresses", reach))
        elif not address.is_global:
            advice = "behind NAT or in a container, set media.public_addresses to the address people reach."
            reach = f"{text}: for people in the same network only"
            lines.append(Line("warn", "addresses", reach, advice) if world else Line("ok", "addresses", reach))
        elif text in mine:
            lines.append(Line("ok", "addresses", f"{text}: an address of this machine"))
        else:
            port = settings.media.port
            advice = f"your router must send UDP and TCP port {port} on to this machine."
            lines.append(Line("ok", "addresses", f"{text}: not of this machine, so it is translated", advice))
    if resolve and name:
        lines.append(await _resolved(name, offered))
    return lines


async def _resolved(name: str, offered: tuple[str, ...]) -> Line:
    try:
        async with asyncio.timeout(5):
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        text = getattr(error, "strerror", None) or "no answer"
        return Line("fail", "name", f"{name}: {text}", "give the name an address in your DNS, or correct public_url.")
    there = sorted({str(entry[4][0]) for entry in found})
    if set(there) & set(offered):
        return Line("ok", "name", f"{name} is {', '.join(there)}, where media goes too")
    advice = "right behind a reverse proxy; otherwise set media.public_addresses to the name's address."
    return Line("warn", "name", f"{name} is {', '.join(there)}, but media goes to {', '.join(offered)}", advice)


async def certificate(settings: Settings) -> list[Line]:
    """That browsers will take it, and for how long."""
    if settings.tls.mode == "off":
        if not settings.public_url.startswith("https://"):
            return []
        if not settings.trusted_proxies:
            advice = (
                "set trusted_proxies to its address, or cookies are not marked Secure and throttles see one client."
            )
            return [Line("warn", "certificate", "HTTPS comes from a reverse proxy that is not trusted", advice)]
        return [Line("ok", "certificate", "HTTPS comes from your reverse proxy; its certificate is not looked at here")]
    own = settings.tls.mode == "self-signed"
    file = settings.data / "tls" / "cert.pem" if own else Path(settings.tls.cert)
    if own and not file.is_file():
        return [Line("ok", "certificate", "made when the server starts")]
    try:
        await asyncio.to_thread(tls.context, settings)
        found = x509.load_pem_x509_certificate(await asyncio.to_thread(file.read_bytes))
    except (SettingsError, OSError, ValueError) as error:
        return [Line("fail", "certificate", str(error), "tls.cert is the whole chain in PEM, tls.key its key.")]
    now = datetime.datetime.now(datetime.UTC)
    until = found.not_valid_after_utc
    renew = (
        "renew it and start the server again." if settings.tls.mode == "files" else "start the server: it renews it."
    )
    if until < now or found.not_valid_before_utc > now:
        return [Line("fail", "certificate", f"valid from {found.not_valid_before_utc:%F} to {until:%F} only", renew)]
    lines = [
        Line("warn", "certificate", f"it ends on {until:%F}", renew)
        if until < now + SOON
        else Line("ok", "certificate", f"valid until {until:%F}")
    ]
    name = public_name(settings)
    if name and not _covers(found, name):
        lines.append(Line("fail", "certificate", f"it is not for {name}", "get one for the name in public_url."))
    return lines


def _covers(certificate: x509.Certificate, name: str) -> bool:
    """RFC 9525: names are in subjectAltName; a wildcard stands for one label."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        listed = [one.lower() for one in names.get_values_for_type(x509.DNSName)]
    return name.lower() in listed or f"*.{name.lower().partition('.')[2]}" in listed


TURN_ADVICE: dict[relay.Failure, str] = {
    "url": "correct turn.urls.",
    "unreachable": "start it, open its port, or correct turn.urls.",
    "certificate": "give it a certificate that browsers know, whole chain, for the name in turn.urls.",
    "credentials": "turn.secret must be coturn's static-auth-secret, use-auth-secret be set, and both clocks right.",
    "refused": "see its log; its quotas or port range may be used up.",
    "peer": "allow the media address with coturn's allowed-peer-ip.",
}


async def turn_servers(settings: Settings, context: ssl.SSLContext | None = None) -> list[Line]:
    """A real allocation on each TURN address, and whether it may send to the media address."""
    urls = [url for url in settings.turn.urls if url.startswith(("turn:", "turns:"))]
    if not urls:
        return [Line("ok", "turn", "none is set; people behind strict firewalls need one (docs/deploy)")]
    lines = []
    if len(settings.turn.secret) < 16:
        lines.append(Line("warn", "turn", "turn.secret is short", "take 32 random bytes: openssl rand -hex 32."))
    told = [a for a in settings.media.public_addresses if ":" not in a] or [
        a for a in candidate_addresses(settings.media.host) if ":" not in a
    ]
    peer = (told[0], settings.media.port or 9) if told else None
    if peer is not None and is_loopback(peer[0]) and not is_loopback(settings.media.host):
        peer = None
    username, password = turn.credentials(settings.turn.secret, int(time.time()) + 60, "doctor")
    results = await asyncio.gather(
        *(relay.allocate(url, username, password, peer, context) for url in urls), return_exceptions=True
    )
    for url, result in zip(urls, results, strict=True):
        if isinstance(result, relay.RelayError):
            what = f"may not send to {peer[0]}: {result}" if result.failure == "peer" and peer else str(result)
            lines.append(Line("fail", "turn", f"{url}: {what}", TURN_ADVICE[result.failure]))
        elif isinstance(result, BaseException):
            raise result
        else:
            lines.append(Line("ok", "turn", f"{url}: relays from {result.relayed[0]}, {result.took * 1000:.0f} ms"))
    return lines
