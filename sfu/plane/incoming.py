"""One source of the Python plane: what is known of an incoming stream, and who listens to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sfu import vp8, vp9
from sfu.dependency import DependencyReader
from sfu.descriptor import Descriptor
from sfu.extensions import NO_LEVEL
from sfu.history import History, MediaPacket
from sfu.keyframe import keyframe_test
from sfu.layers import LayerRates
from sfu.nack import NackTracker
from sfu.plane import PlanePacket, SourceSpec, SourceStats
from sfu.plane.outgoing import NTP_EPOCH, Outgoing
from sfu.pli import PliThrottle
from sfu.reception import Reception
from sfu.red import Block
from sfu.reorder import Released, Reorder
from sfu.sequence import Numbering
from sfu.timing import Least

PlaneTap = Callable[[Sequence[PlanePacket]], None]

VIDEO_HISTORY, AUDIO_HISTORY = 1024, 256
HISTORY_AGE = 3.0
FAR = 10.0
"""Seconds by which a sender report and its arrival may differ, by our clock."""
VIDEO_WAIT, AUDIO_WAIT = 0.3, 0.15
VIDEO_HELD, AUDIO_HELD = 512, 64


class Incoming:
    """State of one source. `live` sinks get every packet, `waiting` ones start at the next key frame."""

    def __init__(self, transport: str, spec: SourceSpec) -> None:
        video = spec.kind == "video"
        self.transport = transport
        self.spec = spec
        self.ssrc = spec.ssrc
        self.rtx_ssrc = spec.rtx_ssrc
        self.paused = False
        self.is_keyframe = keyframe_test(spec.codec) if video else None
        self.numbering = Numbering(spec.codec.clock_rate)
        self.reception = Reception(spec.codec.clock_rate)
        self.history = History(VIDEO_HISTORY if video else AUDIO_HISTORY, HISTORY_AGE)
        self.nack = NackTracker() if spec.nack else None
        self.pli = PliThrottle()
        self.live: list[Outgoing] = []
        self.waiting: list[Outgoing] = []
        self.last_arrival = float("-inf")
        self.level_id = spec.extensions.audio_level
        self.describe = {"VP8": vp8.describe, "VP9": vp9.describe}.get(spec.codec.name) if video else None
        described = self.describe is None and video
        self.dependency_id = spec.extensions.dependency_descriptor if described else None
        """Where the dependency descriptor stands, if it is what tells layers."""
        self.dependencies = DependencyReader()
        self.scalable = self.describe is not None or self.dependency_id is not None
        """Whether packets tell their layers, were it only the lowest."""
        self.moves_pictures = spec.codec.name == "VP8"
        self.newest: Descriptor | None = None
        """Of the latest packet in order that has one."""
        self.frame = -1
        """The number of the newest frame by its dependency descriptor; it goes on when the stream begins anew."""
        self._frames = 0
        self.torn = False
        """The last packet in order was video and not the end of its frame."""
        self.retired: deque[int] = deque(maxlen=4)
        self.loudest = 128
        self.voice = False
        self.heard_at = 0.0
        self.report: tuple[int, int, float] | None = None
        """The last sender report: raw NTP, unwrapped timestamp, arrival."""
        self._apart = Least()
        self._ahead = 0.0
        self._packets = self._bytes = self._retransmitted = self._keyframes = self._lost = 0
        self.nacks_sent = self.plis_sent = self.recovered = 0
        self._since: int | None = None
        """The first sequence after a start, pause or jump: redundancy of what was before it is not used."""
        self.rates = LayerRates()
        self._keyframe_time = -1
        self._tap: PlaneTap | None = None
        self._reorder = Reorder(VIDEO_HELD if video else AUDIO_HELD, VIDEO_WAIT if video else AUDIO_WAIT)
        self._skipped = 0

    def accept(
        self,
        sequence: int,
        timestamp: int,
        marker: int,
        level: int,
        payload: bytes,
        now: float,
        repaired: bool,
        dependency: bytes = b"",
        wrapped: bytes = b"",
        reach: int = 0,
    ) -> MediaPacket | str:
        """Places one packet of the stream, first-hand or `repaired` by RTX; the reason where it is to be dropped.

        `dependency` is its dependency descriptor, where that tells layers; `wrapped` the payload as it came where it
        has `reach` redundant blocks.
        """
        numbering = self.numbering
        epoch = numbering.epoch
        if repaired:
            placed = numbering.place_repair(sequence, timestamp, now)
        else:
            placed = numbering.place(sequence, timestamp, now, self.torn)
        if placed is None:
            return "stray_retransmission" if repaired else "sequence_jump"
        number, time = placed
        self.last_arrival = now
        if number == numbering.highest:
            self.torn = self.is_keyframe is not None and not marker
        nack = self.nack
        if numbering.epoch != epoch and nack is not None:
            nack.reset()
        if not repaired:
            self.reception.packet(number, time, numbering.epoch, now)
        if self.paused:
            return "paused"
        if self._since is None or numbering.epoch != epoch:
            self._since = number
        keyframe = True
        if self.is_keyframe is not None:
            # The first packet of a picture only, though several may look like a start (slices, parameter sets).
            keyframe = time != self._keyframe_time and self.is_keyframe(payload)
        descriptor: Descriptor | None = None
        if payload:
            if self.describe is not None:
                descriptor = self.describe(payload)
            elif dependency:
                descriptor = self.dependencies.read(dependency, number, time)
        packet = MediaPacket(number, time, marker, level, keyframe, now, payload, descriptor)
        if dependency and (whole := self.dependencies.whole) is not None and descriptor is not None:
            if numbering.epoch != epoch and self.frame >= 0:
                self._frames = (whole.number - self.frame - 1) & 0xFFFF
            whole.number = (whole.number - self._frames) & 0xFFFF
            packet.dependency = whole
            if number == numbering.highest:
                self.frame = whole.number
        if not self.history.add(packet):
            return "duplicate"
        if nack is not None:
            nack.received(number, now, repaired)
        self._packets += 1
        self._bytes += len(payload)
        if reach:
            self._bytes += len(wrapped) - len(payload)
            self.rates.count(0, 1, len(wrapped) - len(payload))
            if number - reach >= self._since:
                redundant = MediaPacket(number, time, marker, level, keyframe, now, wrapped, None, reach)
                packet.redundant = redundant
        if descriptor is None:
            self.rates.count(0, 0, len(payload))
        else:
            self.rates.count(descriptor.spatial, descriptor.temporal, len(payload))
            if number == numbering.highest:
                self.newest = descriptor
        self._retransmitted += repaired
        if keyframe and self.is_keyframe is not None:
            self._keyframe_time = time
            self._keyframes += 1
            self.pli.keyframe()
        return packet

    def recover(self, packet: MediaPacket, blocks: Sequence[Block], now: float) -> list[MediaPacket]:
        """The packets before this one that never came and that its redundant blocks bring, the oldest first."""
        found: list[MediaPacket] = []
        for place, (offset, payload) in enumerate(blocks):
            number, time = packet.sequence - len(blocks) + place, packet.timestamp - offset
            before = self.history.get(number - 1)
            if not payload or not offset or self._since is None or number < self._since:
                continue
            if before is not None and before.timestamp >= time:
                continue  # not the packet that its place says
            recovered = MediaPacket(number, time, 0, NO_LEVEL, True, now, payload)
            if self.history.add(recovered):
                if self.nack is not None:
                    self.nack.received(number, now, True)
                self.recovered += 1
                found.append(recovered)
        return found

    def hear(self, level: int, now: float) -> None:
        """An RFC 6464 byte: voice flag and -dBov."""
        self.heard_at = now
        if level & 0x7F < self.loudest:
            self.loudest = level & 0x7F
        if level & 0x80:
            self.voice = True

    def reported(self, ntp: int, timestamp: int, now: float) -> None:
        """A sender report; `timestamp` unwrapped."""
        self.report = (ntp, timestamp, now)
        self.reception.sender_report(ntp, now)
        self._ahead = self._apart.add(NTP_EPOCH + now - ntp / 0x100000000, now)

    def clock(self, house: bool) -> tuple[int, int, float] | None:
        """The last sender report; with `house` by our clock, as the least delayed reports tell how far that is off."""
        if self.report is None or not house:
            return self.report
        ntp, timestamp, at = self.report
        arrived = NTP_EPOCH + at
        told = ntp / 0x100000000 + self._ahead
        if abs(told - arrived) > FAR:  # the publisher's clock was set
            told = arrived
        return int(told * 0x100000000), timestamp, at

    def bind(self, ssrc: int) -> None:
        """The stream goes on under another SSRC."""
        if self.ssrc is not None and self.ssrc != ssrc:
            self.numbering.renew()
            self._since = None
            self.report = None
            self.retired.append(self.ssrc)
        self.ssrc = ssrc

    def set_tap(self, tap: PlaneTap | None) -> None:
        self._tap = tap
        self._reorder.reset()
        self._skipped = 0

    def show(self, packet: MediaPacket, now: float) -> None:
        """Hands the packet to the tap, in order."""
        if self._tap is not None:
            released = self._reorder.push(packet, now)
            if released:
                self._deliver(released)

    def settle(self, now: float) -> bool:
        """Deadlines of the tap's reordering and age of the history. True where video was lost for good."""
        self.history.expire(now)
        self.rates.sample(now)
        if self._tap is not None:
            released = self._reorder.poll(now)
            if released:
                self._deliver(released)
        given_up = self.nack.given_up if self.nack is not None else 0
        lost = given_up > self._lost
        self._lost = given_up
        return lost

    def _deliver(self, released: list[Released]) -> None:
        out: list[PlanePacket] = []
        for lost, packet in released:
            self._skipped += lost
            if packet.payload:  # padding alone only carries the numbers on
                fields = (packet.arrival, bool(packet.marker), packet.keyframe, self._skipped, packet.payload)
                out.append(PlanePacket(packet.sequence, packet.timestamp, *fields))
                self._skipped = 0
        if out and self._tap is not None:
            self._tap(out)

    def set_paused(self, paused: bool) -> None:
        """Paused sources are read but nothing is kept; when they go on, video starts with a key frame."""
        if paused == self.paused:
            return
        self.paused = paused
        self.loudest, self.voice = 128, False
        self._deliver(self._reorder.reset())
        self._skipped = 0
        self._since = None
        if paused:
            for sink in self.live:
                sink.hold(self)
            # Those that are to show another source wait for that one already.
            self.waiting += [sink for sink in self.live if sink.target == self.spec.id]
            self.live = []
            self.history.clear()
        if self.nack is not None:
            self.nack.reset()

    def stats(self) -> SourceStats:
        return SourceStats(
            packets=self._packets,
            bytes=self._bytes,
            lost=self.nack.given_up if self.nack is not None else 0,
            nacks_sent=self.nacks_sent,
            retransmissions_received=self._retransmitted,
            keyframes=self._keyframes,
            plis_sent=self.plis_sent,
            jitter=self.reception.jitter,
            recovered=self.recovered,
        )
