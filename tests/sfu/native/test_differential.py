"""Both planes fed the same packets, byte by byte: whatever the network, the peers and the room do, the same leaves.

What each side draws at random (SSRCs, first numbers and times) comes from one seed, as SplitMix64 in both.
"""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pylibsrtp import Error, Policy, Session

import sfu.plane.course
import sfu.plane.outgoing
import sfu.plane.transport
from sfu.plane import ExtensionIds, Layers, SrtpKeys
from sfu.plane.python import PythonPlane
from sfu.rtcp import Bye, Fir, Nack, Pli, ReceiverReport, Remb, Report, SenderReport
from sfu.rtp import RtpPacket, is_rtcp, parse_header
from sfu.srtp import KEY_LENGTHS, PROFILES
from sfu.taps import Codec
from sfu.twcc import ArrivalRecorder
from tests.sfu.packets.conftest import Kit

pytest.importorskip("sfu.plane._native", reason="the native plane is not built")

from sfu.plane.compiled import NativePlane

MASK = (1 << 64) - 1
VP9 = Codec("VP9", 90000)
AV1 = Codec("AV1", 90000)


class SplitMix:
    """In the place of `secrets` in the Python plane."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def randbits(self, bits: int) -> int:
        assert bits == 32
        return self.next() >> 32

    def randbelow(self, limit: int) -> int:
        assert limit == 0x8000
        return self.next() >> 49


class Stream:
    """A publisher's encoder: payloads that the planes read layers and key frames from."""

    def __init__(self, codec: str, ssrc: int, sequence: int) -> None:
        self.codec, self.ssrc, self.sequence = codec, ssrc, sequence
        self.timestamp, self.picture, self.tl0 = sequence * 7919, sequence & 0x7FFF, sequence & 0xFF
        self.frames = sequence
        self.described: dict[int, bytes] = {}
        """Dependency descriptors by sequence."""

    def frame(self, key: bool, packets: int, dice: random.Random) -> list[tuple[int, int, bool, bytes]]:
        """One picture: sequence, timestamp, marker and payload of each packet."""
        self.timestamp += 3000
        self.picture = (self.picture + 1) & 0x7FFF
        temporal = 0 if key else self.picture % 2
        if temporal == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        made = []
        layers = 2 if self.codec in ("VP9", "AV1") else 1
        for spatial in range(layers):
            for n in range(packets):
                self.sequence = (self.sequence + 1) & 0xFFFF
                first, last = n == 0, n == packets - 1
                self.frames += first
                if self.codec == "AV1":
                    told = depends(key, temporal, spatial, first, last, self.frames & 0xFFFF, dice)
                    self.described[self.sequence] = told
                payload = self.describe(key, temporal, spatial, first, last) + dice.randbytes(dice.choice((1, 30, 700)))
                made.append((self.sequence, self.timestamp & 0xFFFFFFFF, last and spatial == layers - 1, payload))
        return made

    def describe(self, key: bool, temporal: int, spatial: int, first: bool, last: bool) -> bytes:
        picture = (0x8000 | self.picture).to_bytes(2, "big")
        if self.codec == "AV1":
            return bytes((0x08 if key and first and spatial == 0 else 0x00, 0x01))
        if self.codec == "VP8":
            frame = bytes((0x00 if key else 0x01,))
            head = bytes((0x80 | (0x10 if first else 0), 0xE0)) + picture
            return head + bytes((self.tl0, temporal << 6 | (0x20 if temporal else 0))) + frame
        flags = 0x80 | 0x20 | (0 if key else 0x40) | (0x08 if first else 0) | (0x04 if last else 0)
        layer = temporal << 5 | (0x10 if temporal else 0) | spatial << 1 | (spatial > 0)
        return bytes((flags,)) + picture + bytes((layer, self.tl0))


def depends(key: bool, temporal: int, spatial: int, first: bool, last: bool, frame: int, dice: random.Random) -> bytes:
    """A dependency descriptor of two spatial and two temporal layers, of which some are broken."""
    layers = [(0, 0), (0, 1), (1, 0), (1, 1)]
    structured = key and first and spatial == 0
    active, custom = dice.random() < 0.2, key
    bits = f"{first:b}{last:b}{layers.index((spatial, temporal)):06b}{frame:016b}"
    if structured or active or custom:
        bits += f"{structured:b}{active:b}0{custom:b}0"
    if structured:
        bits += f"{0:06b}{3:05b}" + "01" + "10" + "01" + "11"
        bits += "".join("10" if s <= S and t <= T else "00" for s, t in layers for S, T in layers)
        for s, t in layers:
            bits += f"1{3 - 2 * t:04b}" + ("10000" if s else "") + "0"
        bits += "00" + "0"
    if active:
        bits += f"{dice.randrange(16):04b}"
    if custom:
        bits += ("010000" if spatial else "") + "00"
    made = int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")
    return made if dice.random() < 0.97 else dice.randbytes(dice.choice((2, 3, 5, 40)))


class Both:
    """The two planes and one set of peers. Every call goes to both; what leaves is compared after each."""

    PROFILES = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM")

    def __init__(self, seed: int) -> None:
        dice = SplitMix(seed)
        for module in (sfu.plane.course, sfu.plane.outgoing, sfu.plane.transport):
            module.secrets = dice  # type: ignore[attr-defined]
        self.out: list[list[tuple[object, bytes]]] = [[], []]
        self.taps: list[list[object]] = [[], []]
        self.planes = (
            PythonPlane(lambda route, data: self.out[0].append((route, data))),
            NativePlane(lambda route, data: self.out[1].append((route, data)), seed),
        )
        self.tx: dict[str, Session] = {}
        self.rx: dict[str, Session] = {}
        self.recorders: dict[str, ArrivalRecorder] = {}
        self.sent: dict[str, list[int]] = {}
        self.now = 1000.0

    def call(self, name: str, *arguments: object) -> object:
        results = []
        for plane in self.planes:
            try:
                results.append(getattr(plane, name)(*arguments))
            except (ValueError, KeyError) as error:
                results.append(type(error))
        assert results[0] == results[1], f"{name}: {results}"
        self.compare(name)
        return results[0]

    def compare(self, what: str) -> None:
        python, native = self.out
        assert len(python) == len(native), what
        for (route, data), (other, same) in zip(python, native, strict=True):
            assert route == other, what
            if data != same:
                plain = self.rx[str(route)].unprotect_rtcp(data) if is_rtcp(data) else data[:40]
                raise AssertionError(f"after {what} to {route}: {plain.hex()} not {same[:40].hex()} ({len(same)} B)")
            self.took(str(route), data)
        assert self.taps[0] == self.taps[1], what
        python.clear()
        native.clear()

    def took(self, peer: str, data: bytes) -> None:
        """What the peer learns of what it gets: numbers to ask for again, arrivals to tell of."""
        if is_rtcp(data):
            self.rx[peer].unprotect_rtcp(data)
            return
        try:
            plain = self.rx[peer].unprotect(data)
        except Error:  # the very bytes again, where there is no retransmission stream
            return
        header = parse_header(plain)
        self.sent.setdefault(f"{peer} {header[4]}", []).append(header[2])
        if peer in self.recorders and header[5]:
            at = 17 if header[5] == 0xBEDE else 18
            self.recorders[peer].received(int.from_bytes(plain[at : at + 2], "big"), self.now)

    def join(self, name: str, number: int) -> None:
        profile = self.PROFILES[number % 3]
        size = KEY_LENGTHS[profile]
        rx, tx = bytes([number]) * size, bytes([100 + number]) * size
        for sessions, key, direction in (
            (self.tx, rx, Policy.SSRC_ANY_OUTBOUND),
            (self.rx, tx, Policy.SSRC_ANY_INBOUND),
        ):
            policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
            policy.window_size, policy.allow_repeat_tx = 8192, True
            sessions[name] = Session(policy)
        self.call("add_transport", name, SrtpKeys(profile, rx, tx), name)

    def rtp(self, peer: str, packet: RtpPacket) -> None:
        self.raw(peer, packet.serialize())

    def raw(self, peer: str, plain: bytes) -> None:
        try:
            sealed = self.tx[peer].protect(plain)
        except Error:  # too far back to be sealed any more
            return
        self.call("receive", peer, sealed, self.now)

    def rtcp(self, peer: str, *packets: object) -> None:
        data = b"".join(packet.serialize() for packet in packets)  # type: ignore[attr-defined]
        self.call("receive", peer, self.tx[peer].protect_rtcp(data), self.now)

    def settle(self) -> None:
        """Events and counters."""
        events = [plane.drain() for plane in self.planes]
        assert events[0] == events[1]
        assert self.planes[0].stats() == self.planes[1].stats()
        for peer in self.tx:
            self.call("transport_stats", peer)


PUBLISHER_IDS = ExtensionIds(mid=4, audio_level=1, rid=5, repaired_rid=6)
COUNTED_IDS = ExtensionIds(mid=4, rid=5, repaired_rid=6, transport_cc=3)
TWCC_IDS = ExtensionIds(mid=7, transport_cc=1)
TIMED_IDS = ExtensionIds(mid=7, abs_send_time=2)
VOICE, OTHER, PLAIN = 6000, 6001, 6002
SINKS = {"a": 5000, "b": 5100, "c": 5200, "d": 5300}

ACTIONS = (
    "frame*10 wait*5 audio key lose late twice repair nack nack report twcc*4 pli fir remb aim aim layers layers "
    "mute*3 pause*3 sender-report new-ssrc restart bye drop-sink garbage garbage settle want cap padding keyframe "
    "twcc-loss redundancy mute-voice"
)
weighted = [name for word in ACTIONS.split() for name in [word.partition("*")[0]] * int(word.partition("*")[2] or 1)]
steps = st.lists(st.tuples(st.sampled_from(weighted), st.integers(0, 1 << 30)), min_size=20, max_size=160)


def play(seed: int, codec: str, steps: list[tuple[str, int]]) -> None:
    both = Both(seed)
    spec = {"VP8": Kit.VP8, "VP9": VP9, "AV1": AV1}[codec]
    told = 13 if codec == "AV1" else None
    publisher_ids, counted_ids = (replace(ids, dependency_descriptor=told) for ids in (PUBLISHER_IDS, COUNTED_IDS))
    for number, name in enumerate(("p", "q", "s", "t", "u")):
        both.join(name, number)
    streams: dict[str, Stream] = {}
    for n, source in enumerate(("cam/q", "cam/h")):
        kind = {"codec": spec, "mid": "1", "rid": source[-1], "ssrc": None, "rtx_ssrc": None}
        both.call("add_source", "p", Kit.video(source, extensions=publisher_ids, **kind))
        streams[source] = Stream(codec, 2000 + n, (65500 + 7 * n) & 0xFFFF)
    both.call("add_source", "q", Kit.video("solo", codec=spec, extensions=counted_ids, ssrc=2222))
    streams["solo"] = Stream(codec, 2222, 30000)
    both.call("add_source", "p", Kit.audio("mic", red_payload_type=63))
    taps = both.taps
    for index, plane in enumerate(both.planes):
        for source in ("cam/q", "mic"):
            plane.set_tap(source, taps[index].extend)
    wants = ExtensionIds(mid=7, audio_level=8, dependency_descriptor=5 if told else None)
    both.call("add_sink", "s", Kit.sink("cam/q", "a", SINKS["a"], extensions=wants))
    both.call("add_sink", "s", Kit.sink("solo", "b", SINKS["b"], rtx_payload_type=None, rtx_ssrc=None))
    wants = replace(TWCC_IDS, dependency_descriptor=5 if told else None)
    both.call("add_sink", "t", Kit.sink("cam/h", "c", SINKS["c"], extensions=wants))
    both.call("add_sink", "u", Kit.sink("solo", "d", SINKS["d"], extensions=TIMED_IDS))
    voice = {"rtx_payload_type": None, "rtx_ssrc": None, "extensions": TWCC_IDS, "nack": True}
    both.call("add_sink", "t", Kit.sink("mic", "voice", VOICE, **voice, red_payload_type=64))
    alone = {"rtx_payload_type": None, "rtx_ssrc": None}
    both.call("add_sink", "u", Kit.sink("mic", "other", OTHER, **alone, payload_type=111, red_payload_type=63))
    both.call("add_sink", "s", Kit.sink("mic", "plain", PLAIN, **alone))
    both.call("set_wanted_bitrate", "t", 2_500_000.0)
    both.recorders["t"] = ArrivalRecorder()
    world = SimpleNamespace(
        key={name: True for name in streams}, held=[], kept=[], opus=0, repairs=0, muted=set(), paused=set()
    )
    for action, n in steps:
        step(both, streams, world, action, random.Random(n))
    both.settle()
    for source in (*streams, "mic"):
        both.call("source_stats", source)
        both.call("layer_rates", source)
    for sink in (*SINKS, "voice", "other", "plain"):
        both.call("sink_stats", sink)
    both.call("remove_source", "cam/h")
    both.call("remove_sink", "b")
    both.call("remove_transport", "q")
    both.call("tick", both.now + 1.5)
    both.settle()


def redundant(payload: bytes, dice: random.Random) -> bytes:
    """A packet of RFC 2198, of which some are broken."""
    older = [dice.randbytes(dice.choice((0, 5, 5, 9))) for _ in range(dice.choice((0, 1, 1, 1, 2, 9)))]
    step = dice.choice((960, 960, 960, 0, 1500))
    heads = [(len(older) - n) * step % 0x4000 << 10 | len(data) for n, data in enumerate(older)]
    kind = 111 if dice.random() < 0.95 else 112
    packed = b"".join(bytes((0x80 | kind,)) + head.to_bytes(3, "big") for head in heads)
    made = packed + b"\x6f" + b"".join(older) + payload
    return made if dice.random() < 0.95 else made[: dice.randint(0, 12)]


def owner(source: str) -> str:
    return "q" if source == "solo" else "p"


def step(both: Both, streams: dict[str, Stream], world: SimpleNamespace, action: str, dice: random.Random) -> None:
    source = dice.choice(list(streams))
    stream, sink = streams[source], dice.choice(list(SINKS))
    viewer = {"a": "s", "b": "s", "c": "t", "d": "u"}[sink]
    peer = owner(source)

    def media(sequence: int, timestamp: int, marker: bool, payload: bytes, rtx: bool = False) -> RtpPacket:
        extensions = [(4, b"1"), (5, source[-1].encode())]
        if rtx:
            extensions = [(4, b"1"), (6, source[-1].encode())]
        if source == "solo":
            extensions = [(4, b"1"), (3, (sequence & 0xFFFF).to_bytes(2, "big"))]
        if sequence in stream.described:
            extensions.append((13, stream.described[sequence]))
        fields = {"payload_type": 97 if rtx else 96, "ssrc": stream.ssrc + (500 if rtx else 0), "timestamp": timestamp}
        if rtx:
            payload = sequence.to_bytes(2, "big") + payload
        world.repairs += rtx
        number = world.repairs if rtx else sequence
        if source == "solo" and rtx:
            fields["ssrc"] = 2223
        return Kit.packet(number, payload, marker=marker, extensions=extensions, **fields)

    if action in ("frame", "key", "lose", "late", "twice"):
        frame = stream.frame(world.key[source] or action == "key", dice.randint(1, 3), dice)
        world.key[source] = False
        for piece in frame:
            packet = media(*piece)
            world.kept = [*world.kept[-40:], (source, stream.ssrc, piece)]
            fate = dice.random()
            if action == "lose" and fate < 0.5:
                continue
            if action == "late" and fate < 0.5:
                world.held.append((peer, packet))
                continue
            both.rtp(peer, packet)
            if action == "twice":
                both.raw(peer, packet.serialize()[:-1] + b"x" if fate < 0.3 else packet.serialize())
        if world.held and dice.random() < 0.5:
            for at, packet in world.held:
                both.rtp(at, packet)
            world.held.clear()
    elif action == "audio":
        for _ in range(dice.randint(1, 4)):
            world.opus += 1
            packet = Kit.opus(65530 + world.opus, dice.randrange(256))
            if dice.random() < 0.8:
                packet.payload_type, packet.payload = 63, redundant(packet.payload, dice)
            if dice.random() < 0.7:
                both.rtp("p", packet)
            elif dice.random() < 0.5:
                world.held.append(("p", packet))
    elif action == "wait":
        for _ in range(dice.choice((1, 2, 3, 20, 60))):
            both.now += 0.02
            both.call("tick", both.now)
    elif action == "repair":
        mine = [piece for name, ssrc, piece in world.kept if name == source and ssrc == stream.ssrc]
        if mine:
            both.rtp(peer, media(*dice.choice(mine), rtx=True))
    elif action == "padding":
        packet = media(dice.randrange(65536), 0, False, b"", rtx=True)
        packet.payload, packet.padding = b"", 100
        both.rtp(peer, packet)
    elif action == "nack":
        sent = both.sent.get(f"{viewer} {SINKS[sink]}", [dice.randrange(65536)])
        numbers = sorted({dice.choice(sent[-60:]) for _ in range(dice.randint(1, 12))} | {dice.randrange(65536)})
        both.rtcp(viewer, ReceiverReport(1), Nack(1, SINKS[sink], tuple(numbers)))
        both.rtcp("t", Nack(1, VOICE, tuple(both.sent.get(f"t {VOICE}", [1])[-40::3])))
    elif action == "report":
        report = Report(SINKS[sink], dice.random() / 4, 3, 5, 7, dice.randrange(1 << 32), 9)
        both.rtcp(viewer, ReceiverReport(1, (report,)))
    elif action in ("twcc", "twcc-loss"):
        both.now += dice.choice((0.01, 0.03, 0.1))
        for message in both.recorders["t"].feedback(1, 2):
            if action == "twcc" or dice.random() < 0.5:
                both.rtcp("t", message)
    elif action == "pli":
        both.rtcp(viewer, Pli(1, SINKS[sink]))
    elif action == "fir":
        both.rtcp(viewer, Fir(1, ((SINKS[sink], 3),)))
    elif action == "remb":
        both.rtcp(viewer, Remb(1, dice.randrange(50_000, 5_000_000), (SINKS[sink],)))
    elif action == "aim":
        layers = Layers(dice.choice((None, 0, 1)), dice.choice((None, 0)))
        both.call("aim_sink", sink, dice.choice(["cam/q", "cam/h", "solo", "nowhere"]), layers)
    elif action == "layers":
        shown = both.planes[0]._sinks.get(sink)
        if shown is not None:
            both.call("aim_sink", sink, shown.target, Layers(dice.choice((None, 0, 1)), dice.choice((None, 0, 1))))
    elif action == "redundancy":
        both.call("set_redundancy", dice.choice("stu"), dice.random() < 0.7)
    elif action == "mute-voice":
        both.call("pause_source", "mic", dice.random() < 0.5)
    elif action == "mute":
        both.call("pause_source", source, dice.random() < 0.3)
    elif action == "pause":
        both.call("pause_sink", sink, dice.random() < 0.3)
    elif action == "sender-report":
        ntp = int((both.now + 3_000_000_000) * (1 << 32)) & MASK
        both.rtcp(peer, SenderReport(stream.ssrc, ntp, stream.timestamp & 0xFFFFFFFF, 1, 2))
    elif action == "new-ssrc":
        stream.ssrc += 10
        stream.sequence = dice.randrange(65536)
    elif action == "restart":
        stream.sequence = (stream.sequence + dice.choice((1, 20, 4000, 30000))) & 0xFFFF
    elif action == "bye":
        both.rtcp(peer, Bye((stream.ssrc,)))
    elif action == "drop-sink":
        both.call("remove_sink", sink)
        both.call("add_sink", viewer, Kit.sink(dice.choice(list(streams)), sink, SINKS[sink]))
    elif action == "want":
        both.call("set_wanted_bitrate", "t", dice.choice((0.0, 300_000.0, 5_000_000.0)))
    elif action == "cap":
        both.call("set_bitrate", peer, dice.choice((None, 200_000, 4_000_000)))
    elif action == "keyframe":
        both.call("request_keyframe", source, both.now)
    elif action == "garbage":
        data = bytearray(media(*stream.frame(False, 1, dice)[0]).serialize()[:60])
        for _ in range(dice.randint(1, 4)):
            at = dice.choice((0, 1, 3, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 26, 27, 28, 29))
            if at < len(data):
                data[at] = dice.randrange(256)
        data[0] = 0x80 | data[0] & 0x3F
        try:
            sealed = both.tx[peer].protect(bytes(data))
        except Error:  # not even libsrtp takes it for RTP
            sealed = bytes(data)
        both.call("receive", peer, sealed, both.now)
        body = dice.randbytes(4 * dice.randint(1, 12))
        kind = bytes((0x80 | dice.choice((0, 1, 4, 15, 31)), dice.choice((200, 201, 202, 203, 205, 206, 204))))
        rtcp = kind + (len(body) // 4).to_bytes(2, "big") + body
        both.call("receive", "t", both.tx["t"].protect_rtcp(rtcp), both.now)
    elif action == "settle":
        both.settle()


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, MASK), steps=steps)
def test_the_same_leaves_both_planes(codec, seed, steps):
    secrets = sfu.plane.course.secrets
    try:
        play(seed, codec, steps)
    finally:
        for module in (sfu.plane.course, sfu.plane.outgoing, sfu.plane.transport):
            module.secrets = secrets
