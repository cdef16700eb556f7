"""`consilium doctor` on the Redis of `captions.redis_url`: it answers, takes what a server writes, and has workers."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from urllib.parse import urlsplit

from captioning import bus_redis as bus
from signaling.finding import Line
from signaling.origin import is_loopback
from signaling.settings import Settings

LEAST_VERSION = (6, 2)
"""Of Redis: claiming what others hold (XAUTOCLAIM) came with it."""

LOOK_EVERY = 0.5


async def redis(settings: Settings) -> list[Line]:
    """One line for Redis, one for the caption workers that listen to it; none where it is not configured."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    url = settings.captions.redis_url
    if not settings.captions.enabled or not url:
        return []
    where = bus.shown(url)
    advice = "check captions.redis_url, and that Redis lets this machine in."
    try:
        client = Redis.from_url(url, socket_connect_timeout=bus.CONNECT_WITHIN, socket_timeout=bus.ANSWER_WITHIN)
    except ValueError as error:
        return [Line("fail", "redis", f"captions.redis_url cannot be used: {error}", advice)]
    try:
        async with asyncio.timeout(bus.CONNECT_WITHIN + bus.ANSWER_WITHIN):
            server = await _server(client, url, where)
        if server.state == "fail":
            return [server]
        return [server, await _workers(client)]
    except TimeoutError:
        return [Line("fail", "redis", f"{where}: no answer in time", "check the address and the firewall.")]
    except (RedisError, OSError) as error:
        return [Line("fail", "redis", f"{where}: {error}", advice)]
    finally:
        await client.aclose()


async def _server(client: Any, url: str, where: str) -> Line:
    trial = bus.words(f"doctor-{secrets.token_hex(8)}")
    await client.xadd(trial, {b"m": b""})
    await client.delete(trial)
    version = str((await client.info("server")).get("redis_version", "?"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < LEAST_VERSION:
        return Line("fail", "redis", f"{where} is Redis {version}", "Redis 6.2 or newer is needed.")
    parts = urlsplit(url)
    text = f"{where} answers, Redis {version}"
    if parts.scheme == "redis" and parts.hostname not in (None, "localhost") and not is_loopback(parts.hostname or ""):
        return Line("warn", "redis", f"{text}; voices cross the network unencrypted", "use rediss://, or a VPN.")
    return Line("ok", "redis", text)


async def _workers(client: Any) -> Line:
    """Workers whose sign changes: one that is there may be of somebody long dead."""
    before: dict[bytes, int] = {}
    alive: set[bytes] = set()
    for _ in range(int(bus.ALIVE / LOOK_EVERY)):
        found = {name: bus.read(bus.signs, body) for name, body in (await client.hgetall(bus.WORKERS)).items()}
        numbers = {name: sign.number for name, sign in found.items() if sign is not None}
        alive |= {name for name, number in numbers.items() if before.get(name, number) != number}
        if numbers and alive >= numbers.keys():
            break
        before = before | numbers
        await asyncio.sleep(LOOK_EVERY)
    if not alive:
        return Line("fail", "caption workers", "none listens", "run `consilium caption-worker` on some machine.")
    names = ", ".join(sorted(name.decode("utf-8", "replace")[:40] for name in alive)[:5])
    return Line("ok", "caption workers", f"{len(alive)} listening: {names}")
