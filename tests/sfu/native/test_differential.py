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
from pylibsrtp import Error

from fuzz.dice import MASK, seeded
from sfu.plane import ExtensionIds, Format, Layers, SinkStats
from sfu.rtcp import Bye, Fir, Nack, Pli, ReceiverReport, Remb, Report, SenderReport
from sfu.rtp import RtpPacket
from sfu.taps import Codec
from sfu.twcc import ArrivalRecorder
from tests.sfu.packets.conftest import Kit

pytest.importorskip("sfu.plane._native", reason="the native plane is not built")

from tests.sfu.native.both import Both
from tests.sfu.native.streams import Described, Piece, Stream

Encoder = Stream | Described
STREAMS = {
    "VP8": ("VP8", "VP8", "VP8"),
    "VP9": ("VP9", "VP9", "VP9"),
    "AV1": ("chromium-av1-l2t2-key", "AV1", "chromium-av1-l3t3"),
    "H264": ("chromium-h264-l1t3", "chromium-h264-l1t3", "chromium-h264-l1t3"),
}
"""What encodes each of the sources."""


PUBLISHER_IDS = ExtensionIds(mid=4, audio_level=1, rid=5, repaired_rid=6)
DESCRIBED_IDS = ExtensionIds(mid=4, rid=5, repaired_rid=6, dependency_descriptor=12)
COUNTED_IDS = ExtensionIds(mid=4, rid=5, repaired_rid=6, transport_cc=3, dependency_descriptor=12)
TWCC_IDS = ExtensionIds(mid=7, transport_cc=1)
TIMED_IDS = ExtensionIds(mid=7, abs_send_time=2)
VOICE, OTHER, PLAIN = 6000, 6001, 6002
SINKS = {"a": 5000, "b": 5100, "c": 5200, "d": 5300, "e": 5400}
FORMATS = tuple(Format(name, 100 + n, 110 + n) for n, name in enumerate(("VP8", "VP9", "AV1", "H264")))

ACTIONS = (
    "frame*10 wait*5 audio key lose late twice repair nack nack report twcc*4 pli fir remb aim aim layers layers "
    "mute*3 pause*3 sender-report new-ssrc restart bye drop-sink garbage garbage settle want cap padding keyframe "
    "twcc-loss redundancy mute-voice"
)
weighted = [name for word in ACTIONS.split() for name in [word.partition("*")[0]] * int(word.partition("*")[2] or 1)]
steps = st.lists(st.tuples(st.sampled_from(weighted), st.integers(0, 1 << 30)), min_size=20, max_size=160)


def encoder(name: str, ssrc: int, sequence: int) -> Encoder:
    return Stream(name, ssrc, sequence) if name in ("VP8", "VP9", "AV1") else Described(name, ssrc, sequence)


def play(seed: int, codec: str, steps: list[tuple[str, int]]) -> tuple[Both, list[SinkStats]]:
    both = Both(seed)
    spec, made = Codec(codec, 90000), STREAMS[codec]
    ids = PUBLISHER_IDS if codec in ("VP8", "VP9") else DESCRIBED_IDS
    for number, name in enumerate(("p", "q", "s", "t", "u")):
        both.join(name, number)
    streams: dict[str, Encoder] = {}
    for n, source in enumerate(("cam/q", "cam/h")):
        kind = {"codec": spec, "mid": "1", "rid": source[-1], "ssrc": None, "rtx_ssrc": None}
        both.call("add_source", "p", Kit.video(source, extensions=ids, **kind))
        streams[source] = encoder(made[n], 2000 + n, (65500 + 7 * n) & 0xFFFF)
    both.call("add_source", "q", Kit.video("solo", codec=spec, extensions=COUNTED_IDS, ssrc=2222))
    streams["solo"] = encoder(made[2], 2222, 30000)
    odd = "VP8" if codec == "VP9" else "VP9"
    both.call("add_source", "q", Kit.video("odd", codec=Codec(odd, 90000), ssrc=2322, rtx_ssrc=2323))
    streams["odd"] = encoder(odd, 2322, 200)
    both.call("add_source", "p", Kit.audio("mic", red_payload_type=63))
    taps = both.taps
    for index, plane in enumerate(both.planes):
        for source in ("cam/q", "mic"):
            plane.set_tap(source, taps[index].extend)
    told = 5 if codec in ("AV1", "H264") else None
    wants = ExtensionIds(mid=7, audio_level=8, dependency_descriptor=told)
    both.call("add_sink", "s", Kit.sink("cam/q", "a", SINKS["a"], extensions=wants))
    both.call("add_sink", "s", Kit.sink("solo", "b", SINKS["b"], rtx_payload_type=None, rtx_ssrc=None))
    wants = replace(TWCC_IDS, dependency_descriptor=told)
    both.call("add_sink", "t", Kit.sink("cam/h", "c", SINKS["c"], extensions=wants))
    both.call("add_sink", "u", Kit.sink("solo", "d", SINKS["d"], extensions=TIMED_IDS))
    several = {"payload_type": 100, "rtx_payload_type": 110, "formats": FORMATS, "house_clock": True}
    both.call("add_sink", "t", Kit.sink("odd", "e", SINKS["e"], extensions=wants, **several))
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
    stats = [both.call("sink_stats", sink) for sink in (*SINKS, "voice", "other", "plain")]
    both.call("remove_source", "cam/h")
    both.call("remove_sink", "b")
    both.call("remove_transport", "q")
    both.call("tick", both.now + 1.5)
    both.settle()
    return both, stats


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
    return "q" if source in ("solo", "odd") else "p"


def step(
    both: Both, streams: dict[str, Stream | Described], world: SimpleNamespace, action: str, dice: random.Random
) -> None:
    source = dice.choice(list(streams))
    stream, sink = streams[source], dice.choice(list(SINKS))
    viewer = {"a": "s", "b": "s", "c": "t", "d": "u", "e": "t"}[sink]
    peer = owner(source)

    def media(piece: Piece, rtx: bool = False) -> RtpPacket:
        sequence, timestamp, marker, payload, dependency = piece
        extensions = [(4, b"1"), (5, source[-1].encode())]
        if rtx:
            extensions = [(4, b"1"), (6, source[-1].encode())]
        if source == "solo":
            extensions = [(4, b"1"), (3, (sequence & 0xFFFF).to_bytes(2, "big"))]
        if source == "odd":
            extensions = [(4, b"1")]
        if dependency:
            extensions.append((12, dependency))
        fields = {"payload_type": 97 if rtx else 96, "ssrc": stream.ssrc + (500 if rtx else 0), "timestamp": timestamp}
        if rtx:
            payload = sequence.to_bytes(2, "big") + payload
        world.repairs += rtx
        number = world.repairs if rtx else sequence
        if source in ("solo", "odd") and rtx:
            fields["ssrc"] = 2223 if source == "solo" else 2323
        return Kit.packet(number, payload, marker=marker, extensions=extensions, **fields)

    if action in ("frame", "key", "lose", "late", "twice"):
        frame = stream.frame(world.key[source] or action == "key", dice.randint(1, 3), dice)
        world.key[source] = False
        for piece in frame:
            packet = media(piece)
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
            both.rtp(peer, media(dice.choice(mine), rtx=True))
    elif action == "padding":
        packet = media(Piece(dice.randrange(65536), 0, False, b""), rtx=True)
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
        both.call("aim_sink", sink, dice.choice(["cam/q", "cam/h", "solo", "odd", "nowhere"]), layers)
    elif action == "layers":
        shown = both.planes[0]._sinks.get(sink)
        if shown is not None:
            both.call(
                "aim_sink", sink, shown.target, Layers(dice.choice((None, 0, 1, 2)), dice.choice((None, 0, 1, 2)))
            )
    elif action == "redundancy":
        both.call("set_redundancy", dice.choice("stu"), dice.random() < 0.7)
    elif action == "mute-voice":
        both.call("pause_source", "mic", dice.random() < 0.5)
    elif action == "mute":
        both.call("pause_source", source, dice.random() < 0.3)
    elif action == "pause":
        both.call("pause_sink", sink, dice.random() < 0.3)
    elif action == "sender-report":
        ahead = dice.choice((3_000_000_000, 3_000_000_000.25, 3_000_000_001, 5))
        ntp = int((both.now + ahead) * (1 << 32)) & MASK
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
        data = bytearray(media(stream.frame(False, 1, dice)[0]).serialize()[:80])
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


@pytest.mark.parametrize("codec", STREAMS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, MASK), steps=steps)
def test_the_same_leaves_both_planes(codec, seed, steps):
    with seeded(seed):
        play(seed, codec, steps)


@pytest.mark.parametrize("codec", ["AV1", "H264"])
def test_layers_are_switched_and_lost_packets_sent_again_where_descriptors_tell_layers(codec):
    """What chance seldom does in order: layers down and up again and again, over loss, reordering and repairs."""
    dice = random.Random(5)
    switches = ("layers", "frame", "frame", "late", "frame", "wait", "frame", "lose", "nack", "repair", "aim", "twcc")
    resent, told = 0, set()
    for seed in range(6):
        story = [("key", n) for n in range(12)]
        story += [(name, dice.randrange(1 << 30)) for _ in range(25) for name in (*switches, "key", "frame", "frame")]
        with seeded(seed):
            both, stats = play(seed, codec, story)
        resent += sum(sink.retransmissions_sent for sink in stats[:5])
        told.add(both.planes[0]._sources["cam/q"].newest)
    assert resent > 20 and len(told) > 1 and None not in told
