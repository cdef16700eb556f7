"""aiortc's own peer connection as a client of ours: an implementation that we did not write."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack

from sfu.interface import Offer, TrackLabel
from sfu.server import SfuRoom
from sfu.taps import TapPacket
from tests.sfu.people import Person, Recorded
from tests.sfu.test_room import Listener

Join = Callable[..., Person]


class Tone(AudioStreamTrack):
    """440 Hz, so that a decoder has something to hear."""

    async def recv(self) -> av.AudioFrame:
        silent = await super().recv()
        at = (np.arange(silent.samples) + silent.pts) / silent.sample_rate
        samples = (np.sin(2 * math.pi * 440 * at) * 12000).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = silent.pts, silent.sample_rate, Fraction(1, silent.sample_rate)
        return frame


@pytest.fixture
async def peers() -> AsyncIterator[Callable[[], RTCPeerConnection]]:
    made: list[RTCPeerConnection] = []

    def make() -> RTCPeerConnection:
        made.append(RTCPeerConnection(RTCConfiguration(iceServers=[])))
        return made[-1]

    yield make
    await asyncio.gather(*(p.close() for p in made))


async def publish(room: SfuRoom, name: str, peer: RTCPeerConnection, codec: str) -> dict[str, str]:
    peer.addTrack(Tone())
    peer.addTrack(VideoStreamTrack())
    codecs = RTCRtpSender.getCapabilities("video").codecs
    for transceiver in peer.getTransceivers():
        transceiver.direction = "sendonly"
        if transceiver.kind == "video":
            transceiver.setCodecPreferences([c for c in codecs if c.mimeType.lower() == f"video/{codec.lower()}"])
    await peer.setLocalDescription(await peer.createOffer())
    labels = [TrackLabel(t.mid, "microphone" if t.kind == "audio" else "camera") for t in peer.getTransceivers()]
    published = await room.publish(name, peer.localDescription.sdp, labels)
    await peer.setRemoteDescription(RTCSessionDescription(published.sdp, "answer"))
    return published.tracks


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_foreign_publisher_is_heard_and_seen(
    join: Join, room: SfuRoom, events: Recorded, peers: Callable[[], RTCPeerConnection], codec: str
) -> None:
    ben = join("ben")
    ben.listen()
    tap = Listener(events)
    room.add_tap(tap)
    room.add_participant("foreign")
    tracks = await publish(room, "foreign", peers(), codec)
    assert sorted(t.codec.name for t in events.tracks.values()) == sorted(["OPUS", codec])
    await events.until(lambda: all(len(ben.packets.get(t, ())) > 20 for t in tracks.values()), 20)
    video = next(t for t in events.tracks.values() if t.kind == "video")
    assert any(p.keyframe for p in tap.packets_of(video.id))
    audio = next(t for t in events.tracks.values() if t.kind == "audio")
    assert loudness(tap.packets_of(audio.id)) > 3000


def loudness(packets: list[TapPacket]) -> float:
    decoder = av.CodecContext.create("libopus", "r")
    frames = [f for p in packets[5:] for f in decoder.decode(av.Packet(p.payload))]  # type: ignore[attr-defined]
    samples = np.concatenate([f.to_ndarray().reshape(-1) for f in frames])
    if samples.dtype != np.int16:
        samples = samples * 32768
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


async def test_foreign_subscriber_decodes_a_foreign_publisher(
    room: SfuRoom, events: Recorded, peers: Callable[[], RTCPeerConnection]
) -> None:
    receiver = peers()
    frames: dict[str, int] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def consume(track: MediaStreamTrack) -> None:
        while True:
            try:
                await track.recv()
            except MediaStreamError:
                return
            frames[track.kind] = frames.get(track.kind, 0) + 1
            events.poke()

    async def answer(offer: Offer) -> None:
        await receiver.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await receiver.setLocalDescription(await receiver.createAnswer())
        await room.answer("viewer", offer.revision, receiver.localDescription.sdp)

    def spawn(work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    receiver.on("track", lambda track: spawn(consume(track)))
    events.deliver["viewer"] = lambda offer: spawn(answer(offer))
    room.add_participant("viewer")
    room.add_participant("foreign")
    await publish(room, "foreign", peers(), "VP8")
    room.subscribe("viewer")
    await events.until(lambda: frames.get("audio", 0) > 20 and frames.get("video", 0) > 5, 20)
    assert events.states["viewer", "subscribe"] == "connected"
