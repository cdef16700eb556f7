"""CPU time per forwarded packet, and the delay added: our server with either plane, a bare C loop, Janus and LiveKit.

All run by turns in the same rounds, each a process of its own on one core, fed by one load generator on the others
(`benchmarks/load`: sockets, keys and packets are the same for all):

- `limit`: `benchmarks/limit/limit.c`, which only receives, opens, seals for each subscriber and sends, with GSO;
- `native`, `python`: our whole media server with that plane: ICE, DTLS, feedback, statistics, ticks;
- `janus`: Debian's, its video room, one event loop, the same cipher (AES-128-GCM);
- `livekit`: where `livekit-server` is on the path, one node, on one core as the others.

Publisher and viewers of the servers are real WebRTC ends (ICE, DTLS-SRTP, receiver reports), the loop gets its keys
given. A figure is the process's CPU time, kernel included, over the packets delivered: receiving and opening are
spread over the subscribers, and on loopback the sender also pays for the receiver's half of the kernel's work. What a
server burns when nothing flows is measured before each turn and taken off; `raw` keeps it in. Every packet is opened
and compared at every receiver. Delays are from the publisher's clock reading to the kernel's receive time stamp at the
viewer, less the median of the same path with no server in between, at half of one core's load (36 viewers, frames of
three packets), loop and native plane by turns with no other server running, then each of the others alone; `waited` is
the share of time in which the server was ready and something else had its core.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.figures import spread
from benchmarks.load.build import CannotBuild
from benchmarks.load.contenders import PEERS, Absent, Contender, Direct, Limit, Ours, Peer
from benchmarks.load.process import cores, cpu_ns, go_first, load_average, waited_ns
from benchmarks.load.webrtc import cheapest_profile_only

SETTLE = 0.15
IDLE = 0.5
DELAY_SECONDS = 2.0
DELAY_ROUNDS = 7
DELAY_LOOKS = 2
FASTEST = 3_600.0
"""Packets per second that one publisher sends at most: our planes take no more than 4,000 of one peer."""


@dataclass(frozen=True)
class Case:
    """Frames of `burst` packets of `payload` bytes to `subscribers`, `rate` packets per second for `seconds`."""

    subscribers: int
    payload: int
    burst: int
    rate: int
    seconds: float
    rounds: int

    @property
    def name(self) -> str:
        return f"n{self.subscribers}_{self.payload}_burst{self.burst}"


HEADLINE = Case(9, 1200, 8, 1000, 2.0, 5)
CASES = (
    HEADLINE,
    Case(9, 1200, 1, 500, 1.5, 3),
    Case(9, 160, 8, 1000, 1.5, 3),
    Case(9, 160, 1, 500, 1.5, 3),
    Case(49, 1200, 8, 152, 1.5, 3),
    Case(49, 1200, 1, 100, 1.5, 3),
    Case(49, 160, 8, 152, 1.5, 3),
    Case(49, 160, 1, 100, 1.5, 3),
)
DELAY = Case(36, 1200, 3, 1000, 1.0, 1)
"""What delay is measured with: so many viewers that one publisher makes half a core's load, in frames of three."""


@dataclass
class Results:
    """CPU ns per delivered packet of one contender in one case, by round."""

    net: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)
    lost: int = 0
    delivered: int = 0


async def turn(contender: Contender, case: Case, results: Results) -> None:
    """One contender's part of a round. Raises `RuntimeError` when a payload differs from what was sent."""
    loop = asyncio.get_running_loop()
    receiver, process = contender.receiver, contender.process
    receiver.verify(1)
    await receiver.reset()
    before, began = process.cpu_ns(), loop.time()
    await asyncio.sleep(IDLE)
    idle = (process.cpu_ns() - before) / (loop.time() - began)
    used, generator, began = process.cpu_ns(), cpu_ns(os.getpid()), loop.time()
    frames = round(case.rate * case.seconds / case.burst)
    sent = await contender.publisher.send(frames * case.burst, burst=case.burst, size=case.payload, rate=case.rate)
    await asyncio.sleep(SETTLE)
    used, generator, took = process.cpu_ns() - used, cpu_ns(os.getpid()) - generator, loop.time() - began
    counters = receiver.all()
    delivered = sum(c.packets for c in counters)
    wrong = sum(c.wrong for c in counters)
    if wrong or not delivered or delivered != sum(c.verified for c in counters):
        raise RuntimeError(f"{contender.name}, {case.name}: {delivered} packets came, {wrong} of them wrong")
    results.net.append((used - idle * took) / delivered)
    results.raw.append(used / delivered)
    results.generator.append(generator / delivered)
    results.lost += sent * case.subscribers - delivered
    results.delivered += delivered


async def measure(case: Case, contenders: list[Contender]) -> dict[str, Results]:
    """All rounds of a case, the order turning from round to round. A peer that fails in a case is left out of it."""
    found = {contender.name: Results() for contender in contenders}
    for number in range(case.rounds):
        at = number % len(contenders)
        for contender in contenders[at:] + contenders[:at]:
            if contender.name not in found:
                continue
            try:
                await turn(contender, case, found[contender.name])
            except RuntimeError as error:
                if contender.name not in PEERS:
                    raise
                print(f"{case.name}: {error}; left out", file=sys.stderr)
                del found[contender.name]
        latest = ", ".join(f"{name} {results.net[-1]:.0f}" for name, results in found.items())
        print(f"{case.name}: round {number + 1}: {latest} ns", file=sys.stderr)
    return found


def _ratio(found: dict[str, Results], ours: str, theirs: str) -> dict[str, float] | None:
    if ours not in found or theirs not in found:
        return None
    return spread([a / b for a, b in zip(found[ours].net, found[theirs].net, strict=True)])


def figures(found: dict[str, Results]) -> dict[str, Any]:
    """The JSON of one case."""
    result: dict[str, Any] = {
        f"{name}_ns": spread(found[name].net) if name in found else None
        for name in ("limit", "native", "python", *PEERS)
    }
    others = [(ours, theirs) for ours in ("native", "python") for theirs in ("limit", *PEERS)]
    pairs = (*others, ("python", "native"))
    result["ratios"] = {f"{ours}_to_{theirs}": _ratio(found, ours, theirs) for ours, theirs in pairs}
    result["raw_ns"] = {name: spread(results.raw) for name, results in found.items()}
    result["generator_ns"] = {name: spread(results.generator) for name, results in found.items()}
    result["delivered"] = {name: results.delivered for name, results in found.items()}
    result["lost"] = {name: results.lost for name, results in found.items()}
    return result


@dataclass
class Half:
    """One contender at half of a core's load: what is sent a second, and by round the delays, load and waiting."""

    rate: float
    fifty: list[float] = field(default_factory=list)
    ninety_nine: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    lost: int = 0


async def delay_turn(contender: Contender, case: Case, half: Half) -> float:
    """One round at `half.rate`. Returns the load, as a share of one core."""
    await contender.receiver.reset()
    used, began = contender.process.cpu_ns(), asyncio.get_running_loop().time()
    waited = waited_ns(contender.process.pid)
    packets = int(half.rate * DELAY_SECONDS / case.burst) * case.burst
    await contender.publisher.send(packets, burst=case.burst, size=case.payload, rate=half.rate)
    took = asyncio.get_running_loop().time() - began
    load = (contender.process.cpu_ns() - used) / 1e9 / took
    half.loads.append(load)
    half.waits.append((waited_ns(contender.process.pid) - waited) / 1e9 / took)
    await asyncio.sleep(SETTLE)
    fifty, ninety_nine = contender.receiver.delay((50, 99))
    half.fifty.append(fifty)
    half.ninety_nine.append(ninety_nine)
    half.lost = sum(c.lost for c in contender.receiver.all())
    return load


async def delays(contenders: list[Contender]) -> dict[str, dict[str, Any]]:
    """What each adds to a packet's way while it uses half of a core, in microseconds; all by turns in each round."""
    case = DELAY
    found = await measure(case, contenders)
    contenders = [contender for contender in contenders if contender.name in found]
    if not contenders:
        return {}
    direct = Direct()
    direct.receiver.verify(1)
    await direct.publisher.send(2000, burst=case.burst, size=case.payload, rate=1000)
    path = direct.receiver.delay((50,))[0]
    direct.close()
    rates: dict[str, float] = {}
    for contender in contenders:
        contender.receiver.verify(8)
        rate = min(FASTEST, 0.5e9 / (spread(found[contender.name].raw)["median"] * case.subscribers))
        # At a higher rate each packet costs less, so half load takes a second look, and a third on a busy machine.
        for _ in range(DELAY_LOOKS):
            load = await delay_turn(contender, case, Half(rate))
            rate = min(FASTEST, rate * 0.5 / max(0.05, load))
        rates[contender.name] = rate
    halves = {name: Half(rate) for name, rate in rates.items()}
    for number in range(DELAY_ROUNDS):
        at = number % len(contenders)
        for contender in contenders[at:] + contenders[:at]:
            await delay_turn(contender, case, halves[contender.name])
    added: dict[str, dict[str, Any]] = {}
    for name, half in halves.items():
        added[name] = {
            "p50": spread([value - path for value in half.fifty]),
            "p99": spread([value - path for value in half.ninety_nine]),
            "load": spread(half.loads),
            "waited": spread(half.waits),
            "packets_per_second_out": round(half.rate * case.subscribers),
            "lost_last_round": half.lost,
        }
        print(f"delay: {name}: {added[name]}", file=sys.stderr)
    return added


def candidates(http: aiohttp.ClientSession) -> list[Contender]:
    """Everybody, not started."""
    return [Limit(), Ours(http, "native"), Ours(http, "python"), *(Peer(http, name) for name in PEERS)]


async def contend(wanted: list[Contender], subscribers: int) -> tuple[list[Contender], dict[str, str]]:
    """Those that can be measured here, connected, and why the others cannot."""
    absent: dict[str, str] = {}
    started: list[Contender] = []
    for contender in wanted:
        try:
            await contender.start(subscribers)
            started.append(contender)
        except (Absent, TimeoutError) as reason:
            if not isinstance(reason, Absent) and contender.name not in PEERS:
                raise
            absent[contender.name] = str(reason) or "it did not answer"
            await contender.stop()
    return started, absent


async def _measure() -> dict[str, Any]:
    os.sched_setaffinity(0, cores()[1])
    nice = go_first()
    cheapest_profile_only()
    busy = load_average()
    cases: dict[str, dict[str, Any]] = {}
    added: dict[str, dict[str, Any]] = {}
    absent: dict[str, str] = {}
    async with aiohttp.ClientSession() as http:
        for subscribers in sorted({case.subscribers for case in CASES}):
            contenders, absent = await contend(candidates(http), subscribers)
            try:
                for case in (c for c in CASES if c.subscribers == subscribers):
                    found = await measure(case, contenders)
                    cases[case.name] = figures(found)
            finally:
                for contender in contenders:
                    await contender.stop()
        # A server's idle work is another's delay on the same core, so here the loop and the native plane are alone,
        # and then each of the others.
        everybody = candidates(http)
        for group in (everybody[:2], *([one] for one in everybody[2:])):
            contenders, _ = await contend(group, DELAY.subscribers)
            try:
                if contenders:
                    added |= await delays(contenders)
            finally:
                for contender in contenders:
                    await contender.stop()
    ours = added.get("native") or added.get("python") or {}
    return {
        **cases.pop(HEADLINE.name),
        "headline": HEADLINE.name,
        "added_delay_us": {key: ours[key]["median"] if ours else None for key in ("p50", "p99")},
        "delay": added,
        "delay_case": DELAY.name,
        "absent": absent,
        "profile": "AEAD_AES_128_GCM",
        "cases": cases,
        "load_average": [busy, load_average()],
        "nice": nice,
        "measured": "CPU ns (user and kernel) of the server's process per packet delivered, idle taken off; loopback "
        "UDP, one core each, WebRTC ends; every payload compared at every receiver",
    }


def run() -> dict[str, Any]:
    print((__doc__ or "").strip(), file=sys.stderr)
    try:
        return asyncio.run(_measure())
    except CannotBuild as error:
        return {"limit_ns": None, "native_ns": None, "python_ns": None, "janus_ns": None, "absent": {"all": str(error)}}
