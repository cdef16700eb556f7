"""Which layers a sink gets, and that a decoder can do with them what it must."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sfu import vp8, vp9
from sfu.plane import ExtensionIds, KeyframeWanted, Layers
from sfu.rtcp import Nack
from sfu.rtp import RtpPacket
from sfu.taps import Codec
from tests.sfu.packets.recorded import recorded

PATTERNS = {1: [0], 2: [0, 1], 3: [0, 2, 1, 2]}
BACK = {(1, 0): 1, (2, 0): 2, (2, 1): 1, (3, 0): 4, (3, 1): 2, (3, 2): 1}
"""How many pictures back a picture of a temporal layer refers, by number of layers."""


@dataclass
class Encoder:
    """Makes packets of a scalable stream as Chromium does, and knows what each frame refers to."""

    codec: str
    spatial: int = 1
    temporal: int = 1
    inter_layer: bool = True
    """False: only key pictures refer to lower spatial layers (K-SVC)."""
    packets: int = 1
    ssrc: int = 2222
    sequence: int = 65000
    picture: int = 0x7FF0
    tl0: int = 250
    time: int = 0
    index: int = 0
    count: int = 0
    refers: dict[bytes, set[bytes]] = field(default_factory=dict)

    def make(self, key: bool = False) -> list[RtpPacket]:
        """One picture."""
        self.index = 0 if key else self.index + 1
        self.count += 1
        self.time += 3000
        self.picture = (self.picture + 1) & 0x7FFF
        layer = PATTERNS[self.temporal][self.index % len(PATTERNS[self.temporal])]
        if layer == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        made = []
        for spatial in range(self.spatial):
            name = self._name(self.count, spatial)
            self.refers[name] = set()
            if not key:
                self.refers[name].add(self._name(self.count - BACK[self.temporal, layer], spatial))
            if spatial and (key or self.inter_layer):
                self.refers[name].add(self._name(self.count, spatial - 1))
            for part in range(self.packets):
                last = part == self.packets - 1
                head = self._head(key, spatial, layer, part == 0, last)
                packet = RtpPacket(96, self.sequence & 0xFFFF, self.time, self.ssrc)
                packet.marker = last and spatial == self.spatial - 1
                packet.payload = head + name + bytes((part, last))
                self.sequence += 1
                made.append(packet)
        return made

    def _name(self, count: int, spatial: int) -> bytes:
        return self.ssrc.to_bytes(4, "big") + count.to_bytes(4, "big") + bytes((spatial,))

    def _head(self, key: bool, spatial: int, temporal: int, first: bool, last: bool) -> bytes:
        picture = (0x8000 | self.picture).to_bytes(2, "big")
        if self.codec == "VP8":
            pattern, place = PATTERNS[self.temporal], self.index % len(PATTERNS[self.temporal])
            sync = temporal > 0 and pattern[place - BACK[self.temporal, temporal]] == 0
            head = bytes((0x80 | first << 4, 0xE0)) + picture + bytes((self.tl0, temporal << 6 | sync << 5))
            return head + bytes((not key,))
        flags = 0xB0 | (not key) << 6 | first << 3 | last << 2
        head = bytes((flags,)) + picture + bytes((temporal << 5 | 0x10 | spatial << 1 | (spatial > 0),))
        return head + (b"" if key else bytes((BACK[self.temporal, temporal] << 1,)))


class Decoder:
    """What arrives at the subscriber. `check` holds it against what a decoder needs."""

    def __init__(self, *encoders: Encoder) -> None:
        self.refers = {k: v for e in encoders for k, v in e.refers.items()}
        self.describe = vp8.describe if encoders[0].codec == "VP8" else vp9.describe
        self.codec = encoders[0].codec

    def check(self, packets: list[RtpPacket], lossless: bool = True) -> list[tuple[int, int]]:
        """Numbers and times go on, frames are whole, all that they refer to is there. Returns each picture's layers."""
        placed = unwrapped(packets)
        if lossless:
            assert [b[0] - a[0] for a, b in pairwise(placed)] == [1] * (len(placed) - 1), "no gaps"
        frames: dict[bytes, list[int]] = {}
        pictures: list[tuple[int, list[bytes], bool, object]] = []
        for _, time, packet in placed:
            if not packet.payload:
                continue
            name = packet.payload[-11:-2]
            frames.setdefault(name, []).append(packet.payload[-2])
            if not pictures or pictures[-1][0] != time:
                pictures.append((time, [], False, self.describe(packet.payload)))
            last, names, marked, descriptor = pictures[-1]
            assert not marked or not lossless, "the marker stands on the last packet of a picture"
            pictures[-1] = (last, [*names, name], packet.marker, descriptor)
        if lossless:
            assert all(marked for _, _, marked, _ in pictures)
            for name in frames:
                missing = self.refers[name] - frames.keys()
                assert not missing, f"{name!r} refers to {missing}"
            if self.codec == "VP8":
                for (_, _, _, a), (_, _, _, b) in pairwise(pictures):
                    assert (b.picture - a.picture) & 0x7FFF == 1
                    assert (b.tl0 - a.tl0) & 0xFF == (1 if b.temporal == 0 else 0)
        return [(max(n[-1] for n in names), d.temporal) for _, names, _, d in pictures]


def unwrapped(packets: list[RtpPacket]) -> list[tuple[int, int, RtpPacket]]:
    placed: list[tuple[int, int, RtpPacket]] = []
    for packet in packets:
        base = placed[0] if placed else (packet.sequence, packet.timestamp, packet)
        number = base[0] + signed(packet.sequence - base[0], 16)
        placed.append((number, base[1] + signed(packet.timestamp - base[1], 32), packet))
    return sorted(placed, key=lambda entry: entry[0])


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def scene(net, plane, kit, encoder, **changes):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video(codec=Codec(encoder.codec, 90000), **changes))
    plane.add_sink("s", kit.sink("cam"))
    return publisher, subscriber


class Stage:
    """An encoder's pictures on their way through the plane."""

    def __init__(self, net, plane, kit, encoder):
        self.plane, self.encoder, self.now = plane, encoder, 0.0
        self.publisher, self.subscriber = scene(net, plane, kit, encoder)

    def pictures(self, count, key=False):
        for n in range(count):
            self.now += 1 / 30
            for packet in self.encoder.make(key and n == 0):
                self.publisher.send(packet, self.now)
            self.plane.tick(self.now)

    def aim(self, spatial=None, temporal=None):
        self.plane.aim_sink("sink", "cam", Layers(spatial, temporal))

    def shown(self):
        layers = Decoder(self.encoder).check(self.subscriber.rtp)
        self.subscriber.clear()
        return layers


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_temporal_layers_go_down_at_the_next_picture_and_up_where_they_may(net, plane, kit, codec):
    stage = Stage(net, plane, kit, Encoder(codec, temporal=3, packets=2))
    stage.pictures(8, key=True)
    stage.aim(temporal=1)
    stage.pictures(8)
    stage.aim(temporal=0)
    stage.pictures(8)
    stage.aim()
    stage.pictures(1, key=True)
    stage.pictures(7)
    whole = [(0, 0), (0, 2), (0, 1), (0, 2)]
    assert stage.shown() == 2 * whole + 2 * [(0, 0), (0, 1)] + 2 * [(0, 0)] + 2 * whole


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_temporal_layers_come_back_without_a_key_frame(net, plane, kit, codec):
    stage = Stage(net, plane, kit, Encoder(codec, temporal=3))
    stage.aim(temporal=0)
    stage.pictures(8, key=True)
    stage.aim()
    stage.pictures(8)
    whole = [(0, 0), (0, 2), (0, 1), (0, 2)]
    # VP8 tells of each frame whether it may be taken up, VP9 of all that follow: layer 2 waits for layer 1.
    assert stage.shown() == 2 * [(0, 0)] + (2 * whole if codec == "VP9" else [(0, 0), (0, 1), *whole])


@pytest.mark.parametrize("inter_layer", [True, False])
def test_spatial_layers_go_down_at_once_and_up_at_a_key_frame(net, plane, kit, inter_layer):
    stage = Stage(net, plane, kit, Encoder("VP9", spatial=3, inter_layer=inter_layer, packets=2))
    stage.pictures(40, key=True)
    stage.plane.drain()
    stage.aim(spatial=0)
    stage.pictures(3)
    assert stage.plane.drain() == [], "going down needs no key frame"
    stage.aim(spatial=1)
    assert stage.plane.drain() == [KeyframeWanted("cam", "sink")]
    stage.pictures(3)
    stage.pictures(3, key=True)
    stage.aim()
    stage.pictures(40)
    assert stage.plane.drain() == [KeyframeWanted("cam", "sink")]
    stage.pictures(2, key=True)
    assert stage.shown() == 40 * [(2, 0)] + 6 * [(0, 0)] + 43 * [(1, 0)] + 2 * [(2, 0)]
    stage.pictures(40)
    assert stage.plane.drain() == [], "nothing more is wanted"


def test_more_spatial_layers_than_there_are_are_not_asked_for(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", spatial=2))
    stage.aim(spatial=1)
    stage.pictures(10, key=True)
    stage.plane.drain()
    stage.aim(spatial=2)
    stage.pictures(70)
    assert stage.plane.drain() == []


def test_a_change_within_a_picture_waits_for_the_next(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", temporal=2, spatial=2, packets=2))
    stage.pictures(2, key=True)
    for n, packet in enumerate(stage.encoder.make()):
        if n == 1:
            stage.aim(spatial=0, temporal=0)
        stage.publisher.send(packet, stage.now)
    for n, packet in enumerate(stage.encoder.make()):
        if n == 1:
            stage.aim(spatial=0)
        stage.publisher.send(packet, stage.now)
    stage.pictures(2)
    assert stage.shown() == [(1, 0), (1, 1), (1, 0), (0, 0), (0, 1)]


def test_layers_of_late_packets_are_those_of_their_time(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", temporal=2))
    stage.pictures(2, key=True)
    base, upper, base2, upper2 = (stage.encoder.make()[0] for _ in range(4))
    stage.publisher.send(base, 0.1)
    stage.aim(temporal=0)
    stage.publisher.send(base2, 0.2)
    stage.publisher.send(upper2, 0.25)
    stage.publisher.send(upper, 0.3)
    stage.pictures(2)
    assert stage.shown() == [(0, 0), (0, 1), (0, 0), (0, 1), (0, 0), (0, 0)]


def test_a_late_packet_of_a_layer_left_out_fills_its_number_with_nothing(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", temporal=2))
    stage.aim(temporal=0)
    stage.pictures(2, key=True)
    packets = [stage.encoder.make()[0] for _ in range(4)]
    stage.publisher.send(packets[0], 0.1)
    stage.publisher.send(packets[2], 0.2)
    subscriber = stage.subscriber
    assert subscriber.rtp[-1].sequence - subscriber.rtp[-2].sequence == 2
    stage.publisher.send(packets[1], 0.21)
    assert subscriber.rtp[-1].payload == b"" and not subscriber.rtp[-1].marker
    stage.publisher.send(packets[3], 0.3)
    numbers = sorted(p.sequence for p in subscriber.rtp)
    assert [b - a for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)
    empty = subscriber.rtp[-1].sequence
    subscriber.clear()
    subscriber.send_rtcp(1.0, Nack(9, 5000, (empty,)))
    assert [p.payload for p in subscriber.rtp] == [empty.to_bytes(2, "big")]


def test_retransmissions_look_like_what_was_sent(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP8", temporal=3, packets=2))
    stage.aim(temporal=0)
    stage.pictures(9, key=True)
    stage.aim(temporal=1)
    stage.pictures(1, key=True)
    stage.pictures(7)
    sent = {p.sequence: p for p in stage.subscriber.rtp}
    assert len(sent) == 2 * (3 + 4)
    stage.subscriber.clear()
    stage.subscriber.send_rtcp(stage.now, Nack(9, 5000, tuple(sent)))
    again = {int.from_bytes(p.payload[:2], "big"): p for p in stage.subscriber.rtp}
    assert again.keys() == sent.keys()
    for number, packet in sent.items():
        repaired = again[number]
        assert (repaired.payload[2:], repaired.marker) == (packet.payload, packet.marker)
        assert repaired.timestamp == packet.timestamp


def test_a_marker_is_set_where_higher_spatial_layers_are_left_out(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", spatial=2))
    stage.aim(spatial=0)
    stage.pictures(3, key=True)
    assert [p.marker for p in stage.subscriber.rtp] == [True] * 3
    sent = stage.subscriber.rtp[1].sequence
    stage.subscriber.clear()
    stage.subscriber.send_rtcp(1.0, Nack(9, 5000, (sent,)))
    assert stage.subscriber.rtp[0].marker


def test_the_rate_of_each_layer_is_told(net, plane, kit):
    stage = Stage(net, plane, kit, Encoder("VP9", spatial=2, temporal=2))
    stage.pictures(60, key=True)
    rates = plane.layer_rates("cam")
    assert list(rates) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sum(rates.values()) == pytest.approx(30 * 2 * 16 * 8, rel=0.1)


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_picture_ids_go_on_from_one_encoding_to_the_other(net, plane, kit, codec):
    publisher, subscriber = net.join("p"), net.join("s")
    kind = Codec(codec, 90000)
    low = Encoder(codec, temporal=2, ssrc=1)
    high = Encoder(codec, temporal=2, ssrc=2, picture=77, tl0=9, sequence=5)
    for name, encoder in (("cam/q", low), ("cam/f", high)):
        spec = kit.video(name, codec=kind, ssrc=encoder.ssrc, rtx_ssrc=encoder.ssrc + 100)
        plane.add_source("p", spec)
    plane.add_sink("s", kit.sink("cam/q"))
    now = 0.0
    for n in range(60):
        now += 1 / 30
        if n in (10, 40):
            plane.aim_sink("sink", "cam/f", Layers(temporal=0 if n == 40 else None))
        if n == 25:
            plane.aim_sink("sink", "cam/q")
        key = n % 15 == 0
        for packet in low.make(key) + high.make(key):
            publisher.send(packet, now)
    described = [(vp8 if codec == "VP8" else vp9).describe(p.payload) for p in subscriber.rtp]
    if codec == "VP8":
        Decoder(low, high).check(subscriber.rtp)
    steps = [(b.picture - a.picture) & 0x7FFF for a, b in pairwise(described)]
    assert steps[:47] == [1] * 47, "no step at a switch"
    assert set(steps[47:]) == ({1} if codec == "VP8" else {2})
    assert {p.payload[-11:-2][:4] for p in subscriber.rtp} == {b"\0\0\0\1", b"\0\0\0\2"}


@pytest.mark.parametrize("name", ["chromium-av1-l3t3", "chromium-h264-l1t3"])
def test_a_dependency_descriptor_tells_layers(net, plane, kit, name):
    publisher, subscriber = net.join("p"), net.join("s")
    codec = Codec("AV1" if "av1" in name else "H264", 90000)
    ids = ExtensionIds(mid=4, dependency_descriptor=13)
    plane.add_source("p", kit.video(codec=codec, extensions=ids))
    plane.add_sink("s", kit.sink("cam"))
    plane.aim_sink("sink", "cam", Layers(0, 0))
    lines = recorded(name)
    plane.tick(0.0)
    for line in lines:
        packet = kit.packet(
            line.sequence,
            line.payload,
            timestamp=line.timestamp,
            marker=line.marker,
            extensions=[(4, b"1"), (13, line.dependency)],
        )
        publisher.send(packet, (line.timestamp - lines[0].timestamp) / 90000)
    times = sorted({line.timestamp for line in lines})
    assert len({p.timestamp for p in subscriber.rtp}) == len(times[::4])
    assert [b.sequence - a.sequence for a, b in pairwise(subscriber.rtp)] == [1] * (len(subscriber.rtp) - 1)
    marked = [p.timestamp for p in subscriber.rtp if p.marker]
    assert len(marked) == len(set(marked)) >= len(times[::4]) - 1
    assert subscriber.rtp[0].payload == lines[0].payload
    plane.tick(2.0)
    assert (0, 2) in plane.layer_rates("cam")


SHAPES = st.sampled_from(
    [("VP8", 1, 2, True), ("VP8", 1, 3, True), ("VP9", 1, 3, True), ("VP9", 3, 3, True), ("VP9", 3, 2, False)]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pictures"), st.integers(1, 9)),
        st.tuples(st.just("key"), st.just(1)),
        st.tuples(st.just("aim"), st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, 0, 1, 2]))),
        st.tuples(st.just("middle"), st.tuples(st.integers(0, 3), st.sampled_from([None, 0, 1]))),
        st.tuples(st.just("pause"), st.booleans()),
        st.tuples(st.just("other"), st.booleans()),
    ),
    max_size=30,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=SHAPES, packets=st.integers(1, 3), steps=STEPS)
@example(
    shape=("VP9", 3, 3, True),
    packets=2,
    steps=[("key", 1), ("aim", (0, 0)), ("pictures", 5), ("aim", (2, None)), ("pictures", 6), ("key", 1)],
)
@example(shape=("VP8", 1, 2, True), packets=2, steps=[("aim", (None, 0)), ("aim", (None, None)), ("middle", (1, 0))])
def test_whatever_is_aimed_at_can_be_decoded(net_factory, kit, shape, packets, steps):
    """Two encodings, nothing lost: every frame that arrives is whole and has all that it refers to."""
    codec, spatial, temporal, inter_layer = shape
    net, plane = net_factory()
    publisher, subscriber = net.join("p"), net.join("s")
    encoders = [
        Encoder(codec, spatial, temporal, inter_layer, packets, ssrc=ssrc, picture=picture, sequence=7 * ssrc)
        for ssrc, picture in ((1, 0x7FFA), (2, 300))
    ]
    for name, encoder in zip(("a", "b"), encoders, strict=True):
        spec = kit.video(name, codec=Codec(codec, 90000), ssrc=encoder.ssrc, rtx_ssrc=encoder.ssrc + 100)
        plane.add_source("p", spec)
    plane.add_sink("s", kit.sink("a"))
    now, target = 0.0, "a"

    def picture(key, middle=None):
        nonlocal now
        now += 1 / 30
        made = [encoder.make(key) for encoder in encoders]
        for n, packet in enumerate(made[0] + made[1]):
            if middle is not None and n == middle[0]:
                plane.aim_sink("sink", target, Layers(None, middle[1]))
            publisher.send(packet, now)
        plane.tick(now)

    picture(True)
    for action, value in steps:
        if action == "pictures":
            for _ in range(value):
                picture(False)
        elif action == "key":
            picture(True)
        elif action == "aim":
            plane.aim_sink("sink", target, Layers(*value))
        elif action == "middle":
            picture(False, value)
        elif action == "pause":
            plane.pause_sink("sink", value)
        else:
            target = "b" if value else "a"
            plane.aim_sink("sink", target)
    decoder = Decoder(*encoders)
    # A pause or a switch may tear a picture: the numbers then show it, and a key frame follows.
    whole = not any(action in ("pause", "other") for action, _ in steps)
    decoder.check(subscriber.rtp, lossless=whole)
    frames = {}
    for packet in subscriber.rtp:
        frames.setdefault(packet.payload[-11:-2], []).append(packet.payload[-1])
    complete = {name for name, parts in frames.items() if parts[-1]}
    for name in complete:
        assert decoder.refers[name] <= complete
    plane.pause_sink("sink", False)
    plane.aim_sink("sink", "a")
    subscriber.clear()
    picture(True)
    picture(False)
    layers = Decoder(*encoders).check(subscriber.rtp)
    assert layers[0] == (spatial - 1, 0), "aimed at everything, everything comes with a key frame"
    assert len(layers) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=SHAPES,
    order=st.permutations(range(12)),
    lost=st.sets(st.integers(0, 80), max_size=8),
    limits=st.lists(st.tuples(st.sampled_from([None, 0, 1]), st.sampled_from([None, 0, 1])), min_size=1, max_size=5),
)
def test_loss_and_reordering_leave_numbers_unique_and_in_order(net_factory, kit, shape, order, lost, limits):
    codec, spatial, temporal, inter_layer = shape
    net, plane = net_factory()
    publisher, subscriber = net.join("p"), net.join("s")
    encoder = Encoder(codec, spatial, temporal, inter_layer, 2)
    plane.add_source("p", kit.video(codec=Codec(codec, 90000)))
    plane.add_sink("s", kit.sink("cam"))
    stream = [p for n in range(24) for p in encoder.make(n % 11 == 0)]
    now = 0.0
    for block in range(0, len(stream), 12):
        plane.aim_sink("sink", "cam", Layers(*limits[block // 12 % len(limits)]))
        for place in order:
            if block + place < len(stream) and block + place not in lost:
                now += 0.001
                publisher.send(stream[block + place], now)
        plane.tick(now)
    placed = unwrapped(subscriber.rtp)
    assert len({number for number, _, _ in placed}) == len(placed), "no number twice"
    names = [p.payload[-11:] for _, _, p in placed if p.payload]
    assert names == sorted(names), "in the order of their capture"
    assert "encrypt" not in plane.stats().dropped
