"""The sending side of a transport whose peer tells when packets arrive: numbering, pacing, estimating, probing.

Every packet of a sink that negotiated the header extension gets its transport sequence number in the moment in which it
leaves, media, retransmissions and padding alike. Until the first feedback nothing is held back: some negotiate the
extension and never say anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sfu.bandwidth import BandwidthEstimator
from sfu.history import MediaPacket
from sfu.pacer import AUDIO, RETRANSMISSION, VIDEO, Class, Pacer
from sfu.plane import SendDatagram
from sfu.plane.course import Placed
from sfu.plane.outgoing import Outgoing
from sfu.probing import Prober
from sfu.srtp import SrtpError
from sfu.twcc import TransportFeedback

if TYPE_CHECKING:
    from sfu.plane.transport import Transport

OVERHEAD = 40
"""Header, extensions and the tag of the cipher, about."""

LEAST_REPEATED = 500
"""Larger padding is made of packets sent before, which may spare a request for them."""
REPEATABLE = 64
PADDING = 255

MOST_LOSS = 0.5

REPAIR_SHARE, REPAIR_BURST, LEAST_REPAIR = 0.35, 0.5, 6000.0
"""Of the estimate, what retransmissions may take, and so many seconds of that, or bytes, at once. Where much more is
asked for the path is full, and answers would keep it so."""

SETTLING = 1.0
"""Until the first probes are over, or for so many seconds, the estimate is where we start, not what was found."""


class Held:
    """A packet that waits to leave, sealed and numbered only then. `number` is the sink's own, -1 if a repetition."""

    __slots__ = ("data", "number", "sink")

    def __init__(self, sink: Outgoing, number: int, data: bytes) -> None:
        self.sink = sink
        self.number = number
        self.data = data


class Sending:
    """Methods give the number of packets that have left."""

    def __init__(
        self, transport: Transport, send: SendDatagram, send_picture: SendDatagram, drop: Callable[[str], None]
    ) -> None:
        self.estimator = BandwidthEstimator()
        self.prober = Prober()
        self.octets = 0
        """Bytes of RTP that have left."""
        self._pacer: Pacer[Held] = Pacer(self.estimator.estimate)
        self._transport = transport
        self._send = send
        self._send_picture = send_picture
        self._drop = drop
        self._repeated = 0
        self._repairs = LEAST_REPAIR
        self._repairs_at = 0.0
        self._heard_at: float | None = None

    @property
    def heard(self) -> bool:
        """Whether the peer has told anything so far."""
        return self.estimator.messages > 0

    @property
    def available(self) -> float:
        """Of the estimate, what is left for media beside the retransmissions that loss makes necessary."""
        return self.estimator.estimate * (1 - min(MOST_LOSS, self.estimator.loss.loss))

    def settled(self, now: float) -> bool:
        """Whether the estimate is worth telling."""
        if self._heard_at is None or not self.estimator.acked.rate:
            return False
        tried = self.prober.successes + self.prober.failures > 0 and self.prober.idle
        return tried or self.estimator.overused_at > 0 or now - self._heard_at > SETTLING

    def delay(self, now: float) -> float:
        return self._pacer.delay(now)

    # --- packets ---

    def media(self, sink: Outgoing, packet: MediaPacket, placed: Placed, now: float) -> int:
        number = sink.newest = placed[0]
        if sink.abandoned:
            sink.abandoned.pop(number & 0xFFFF, None)
        sink.packets += 1
        sink.octets += len(placed[2])
        size = len(placed[2]) + OVERHEAD
        if sink.video and packet.keyframe and self._pacer.count:
            self._forgo(sink)
        kind: Class = VIDEO if sink.video else AUDIO
        if self._admit(kind, size, now):
            return self._leave(sink, number, sink.render(packet, placed, now, self._count(sink, size, now)), now)
        return self._hold(kind, size, Held(sink, number, sink.render(packet, placed, now)), now)

    def again(self, sink: Outgoing, data: bytes, now: float) -> int:
        """A retransmission, rendered."""
        if self.heard and not self._may_repair(len(data), now):
            self._drop("repair_budget")
            return 0
        sink.retransmissions += 1
        if self._admit(RETRANSMISSION, len(data), now):
            return self._leave(sink, -1, self._numbered(sink, data, now), now)
        return self._hold(RETRANSMISSION, len(data), Held(sink, -1, data), now)

    def repeated(self, sink: Outgoing, sealed: bytes) -> None:
        """The very bytes go out again, transport sequence number and all."""
        at = sink.extensions.number_at
        if at:
            self.estimator.log.repeated(int.from_bytes(sealed[at : at + 2], "big"))

    def _may_repair(self, size: int, now: float) -> bool:
        rate = REPAIR_SHARE * self.estimator.estimate / 8
        gained = (now - self._repairs_at) * rate
        self._repairs = min(max(LEAST_REPAIR, REPAIR_BURST * rate), self._repairs + gained)
        self._repairs_at = now
        if self._repairs < size:
            return False
        self._repairs -= size
        return True

    def _forgo(self, sink: Outgoing) -> None:
        """A key frame comes: what still waits of the pictures before it would only delay it."""
        for held in self._pacer.discard(lambda held: held.sink is sink):
            if held.number >= 0:
                sink.abandon(held.number)

    def _admit(self, kind: Class, size: int, now: float) -> bool:
        return not self.heard or self._pacer.admit(kind, size, now)

    def _hold(self, kind: Class, size: int, held: Held, now: float) -> int:
        if not self._pacer.hold(kind, size, held, now):
            self._drop("pacer")
        return 0

    def _count(self, sink: Outgoing, size: int, now: float) -> int:
        if not sink.extensions.number_at:
            return 0
        cluster = self.prober.cluster
        if cluster is not None:
            self.prober.sent(size, now)
        return self.estimator.sent(size, now, cluster.number if cluster is not None else 0)

    def _numbered(self, sink: Outgoing, data: bytes, now: float) -> bytes:
        at = sink.extensions.number_at
        if not at:
            return data
        return data[:at] + (self._count(sink, len(data), now) & 0xFFFF).to_bytes(2, "big") + data[at + 2 :]

    def _leave(self, sink: Outgoing, number: int, data: bytes, now: float) -> int:
        transport = self._transport
        try:
            sealed = transport.srtp.seal_rtp(data)
        except SrtpError as error:
            self._drop(error.reason)
            return 0
        if number >= 0:
            sink.keep(number, sealed)
        self.octets += len(sealed)
        (self._send_picture if sink.video else self._send)(transport.route, sealed)
        return 1

    # --- feedback and time ---

    def feedback(self, message: TransportFeedback, now: float) -> int:
        outcome = self.estimator.feedback(message, now)
        shown = self.prober.outcome(outcome, self.estimator.detector.usage == "over", now)
        if self._heard_at is None and self.heard:
            self._heard_at = now
        if shown is not None:
            self.estimator.probed(shown, self.prober.clean, now)
        self._pacer.set_estimate(self.estimator.estimate)
        return self._release(now)

    def tick(self, wanted: float, now: float) -> int:
        """`wanted` is what probing may go up to."""
        estimator = self.estimator
        estimator.tick(now)
        self._pacer.set_estimate(estimator.estimate)
        left = self._release(now)
        if self.heard:
            wanted /= 1 - min(MOST_LOSS, estimator.loss.loss)
            trip = estimator.round_trip or 0.0
            arguments = (estimator.overused_at, trip, estimator.detector.jitter, now)
            cluster = self.prober.due(estimator.estimate, wanted, *arguments)
            while cluster is not None and cluster is self.prober.cluster and cluster.due(now) > 0:
                padded = self._pad(cluster.packet, now)
                left += padded
                if not padded:
                    self.prober.stop(now)
        return left

    def _release(self, now: float) -> int:
        return sum(
            self._leave(held.sink, held.number, self._numbered(held.sink, held.data, now), now)
            for held in self._pacer.release(now)
            if held.sink.live or held.number < 0
        )

    def _pad(self, size: int, now: float) -> int:
        """A packet that carries nothing new: one sent before where it should be large, else bytes that mean nothing."""
        sink = next((sink for sink in self._transport.sinks.values() if _pads(sink)), None)
        if sink is None:
            return 0
        data = self._repetition(sink, now) if size >= LEAST_REPEATED else None
        if data is None:
            data = sink.render_padding(min(PADDING, size), now)
        self._pacer.spent(len(data), now)
        return self._leave(sink, -1, self._numbered(sink, data, now), now)

    def _repetition(self, sink: Outgoing, now: float) -> bytes | None:
        self._repeated = (self._repeated + 1) % REPEATABLE
        for back in range(self._repeated, self._repeated + 8):
            number = sink.newest - back % REPEATABLE
            origin = sink.origin(number) if number >= 0 else None
            if origin is None:
                continue
            feed, pictures, sequence = origin
            packet = feed.source.history.get(sequence)
            if packet is not None and len(packet.payload) >= LEAST_REPEATED:
                placed = (number, *feed.late(packet, pictures))
                return sink.render_rtx(packet, placed, feed, now)
        return None


def _pads(sink: Outgoing) -> bool:
    """Padding goes out where retransmissions do, so that it never tears a picture."""
    return sink.live and sink.spec.rtx_ssrc is not None and sink.sealed is None and sink.extensions.number_at > 0
