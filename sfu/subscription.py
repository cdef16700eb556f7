"""Subscribing: which m-line carries which track, one offer at a time. Pure: time is an argument.

Changes within a moment become one offer; while an offer waits for its answer the next one waits too. An m-line whose
track has gone is offered inactive once and then carries the next track of its kind, so that the number of m-lines is
bounded by the most tracks there ever were at a time, and the first m-line (the bundle's tag) never dies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sfu import sdp
from sfu.capabilities import (
    AUDIO_FEEDBACK,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    TRANSPORT_CC,
    TRANSPORT_CC_URI,
    VIDEO_FEEDBACK,
    Chosen,
    extension_ids,
    subscribe_extensions,
)
from sfu.interface import SdpError
from sfu.negotiation import LocalTransport, codec_attributes, session_attributes, transport_attributes
from sfu.plane import ExtensionIds
from sfu.sdp import Attributes, Description, IceParameters, Media
from sfu.taps import Codec, Kind, TrackInfo

COALESCE = 0.02
ANSWER_TIMEOUT = 15.0
MAX_UNANSWERED = 4

# No abs-send-time: nobody would use it, and without it a header block serves all packets.
EXTENSION_IDS = {AUDIO_LEVEL_URI: 1, TRANSPORT_CC_URI: 3, MID_URI: 4, DEPENDENCY_DESCRIPTOR_URI: 5}
_PAYLOAD_TYPES = {"OPUS": (111, None), "VP8": (96, 97), "VP9": (98, 99), "H264": (102, 103), "AV1": (106, 107)}
_H264_BASELINE = (104, 105)
_RED = 63
_PLACEHOLDER = Codec("OPUS", 48000, 2)

SlotState = Literal["idle", "live", "retiring", "told", "rejected"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A track towards one subscriber, with our numbers for it."""

    track: TrackInfo
    chosen: Chosen
    ssrc: int
    rtx_ssrc: int | None


@dataclass(slots=True)
class Slot:
    """One m-line. `retiring`: its track has gone; `told`: and was offered as inactive; `idle`: free."""

    mid: str
    kind: Kind
    state: SlotState
    outgoing: Outgoing | None
    shape: Chosen


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the answer agreed to for one track."""

    mid: str
    outgoing: Outgoing
    rtx: bool
    extensions: ExtensionIds
    nack: bool
    red: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer understood. `rejected` lists track ids that the subscriber cannot take."""

    accepted: tuple[Accepted, ...]
    rejected: tuple[str, ...]
    ice: IceParameters
    fingerprints: tuple[tuple[str, str], ...]


def payload_types(codec: Codec) -> tuple[int, int | None]:
    """Our payload type and that of its retransmissions, the same in every offer."""
    if codec.name == "H264" and not codec.parameters.get("profile-level-id", "").lower().startswith("42e0"):
        return _H264_BASELINE
    return _PAYLOAD_TYPES[codec.name]


def shape(codec: Codec, kind: Kind, redundant: bool = False) -> Chosen:
    """How we offer a codec; sound with redundancy where `redundant`."""
    number, rtx = payload_types(codec)
    feedback = AUDIO_FEEDBACK if kind == "audio" else VIDEO_FEEDBACK
    return Chosen(codec, number, rtx, feedback, _RED if redundant and kind == "audio" else None)


class Subscription:
    """Offers of one subscribe connection. `new_ssrc` gives SSRCs that are unique within the subscriber; `redundant`
    offers sound with redundancy as well."""

    def __init__(self, session: str, new_ssrc: Callable[[], int], redundant: bool = False) -> None:
        self._session = session
        self._redundant = redundant
        self._new_ssrc = new_ssrc
        self._slots: list[Slot] = []
        self._tracks: dict[str, TrackInfo] = {}
        self._dirty_since: float | None = None
        self._outstanding: tuple[int, float] | None = None
        self._version = 0
        self._mids = 0
        self.unanswered = 0

    @property
    def tracks(self) -> frozenset[str]:
        """Ids of the tracks that shall be carried."""
        return frozenset(self._tracks)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The m-lines as last offered."""
        return tuple(self._slots)

    def add(self, track: TrackInfo, now: float) -> None:
        """Carry this track."""
        self._tracks[track.id] = track
        self.touch(now)

    def remove(self, track: str, now: float) -> None:
        """Stop carrying it; unknown ones are ignored."""
        if self._tracks.pop(track, None) is None:
            return
        for slot in self._slots:
            if slot.outgoing is not None and slot.outgoing.track.id == track:
                slot.outgoing = None
                if slot.state == "live":
                    slot.state = "retiring"
        self.touch(now)

    def touch(self, now: float) -> None:
        """An offer is needed (new tracks, new ICE credentials)."""
        if self._dirty_since is None:
            self._dirty_since = now

    def abandon(self, now: float) -> None:
        """Gives up waiting for an answer (the subscriber has lost the offer) and offers anew."""
        self.unanswered = 0
        self._outstanding = None
        self._dirty_since = now

    def due(self, now: float) -> bool:
        """Whether it is time for `offer`. An unanswered one is repeated after a while."""
        if self._outstanding is not None:
            if now - self._outstanding[1] < ANSWER_TIMEOUT:
                return False
            self._outstanding = None
            self.unanswered += 1
            self._dirty_since = float("-inf")
        return self._dirty_since is not None and now - self._dirty_since >= COALESCE

    def offer(self, revision: int, transport: LocalTransport, now: float) -> str:
        """The next offer, which then waits for the answer of the same revision."""
        self._assign()
        self._dirty_since = None
        self._outstanding = (revision, now)
        self._version += 1
        alive = [s for s in self._slots if s.state != "rejected"]
        description = Description(self._session, self._version, session_attributes([s.mid for s in alive]))
        for slot in self._slots:
            if slot.state == "retiring":
                slot.state = "told"
            attributes: Attributes = [("mid", slot.mid)]
            numbers = [slot.shape.payload_type]
            numbers += [number for number in (slot.shape.rtx, slot.shape.red) if number is not None]
            if slot.state == "rejected":
                attributes.append(("inactive", None))
            else:
                attributes = transport_attributes(transport, candidates=slot is alive[0]) + attributes
                attributes += _section(slot)
            port = 0 if slot.state == "rejected" else 9
            media = Media(slot.kind, port, "UDP/TLS/RTP/SAVPF", [str(n) for n in numbers], attributes)
            description.media.append(media)
        return sdp.serialise(description)

    def offered(self) -> list[tuple[str, TrackInfo]]:
        """Mid and track of the m-lines that carry something."""
        return [(s.mid, s.outgoing.track) for s in self._slots if s.state == "live" and s.outgoing is not None]

    def _assign(self) -> None:
        carried = {s.outgoing.track.id for s in self._slots if s.outgoing is not None}
        for track in self._tracks.values():
            if track.id in carried:
                continue
            chosen = shape(track.codec, track.kind, self._redundant)
            rtx_ssrc = self._new_ssrc() if chosen.rtx is not None else None
            outgoing = Outgoing(track, chosen, self._new_ssrc(), rtx_ssrc)
            slot = next((s for s in self._slots if s.state == "idle" and s.kind == track.kind), None)
            if slot is None:
                slot = self._new_slot(track.kind, chosen)
            slot.state, slot.outgoing, slot.shape = "live", outgoing, chosen
        if not self._slots:
            # ICE and DTLS can be done before anybody speaks: the first track is there sooner.
            self._new_slot("audio", shape(_PLACEHOLDER, "audio", self._redundant))

    def _new_slot(self, kind: Kind, chosen: Chosen) -> Slot:
        """An m-line refused for a track now gone, under a new mid (RFC 8829, section 5.2.2), else a new one."""
        slot = Slot(str(self._mids), kind, "idle", None, chosen)
        self._mids += 1
        for index, old in enumerate(self._slots):
            if old.state == "rejected" and old.outgoing is None:
                self._slots[index] = slot
                return slot
        self._slots.append(slot)
        return slot

    def answer(self, revision: int, text: str, pinned: tuple[tuple[str, str], ...] = ()) -> Answered | None:
        """Reads the answer to the offer of `revision`; None for a stale one. Raises `SdpError`; nothing changed then.

        `pinned` are the fingerprints of the connection, once there are some: they must stay.
        """
        if self._outstanding is None or self._outstanding[0] != revision:
            return None
        answer = sdp.parse(text)
        if len(answer.media) != len(self._slots):
            raise SdpError(f"the answer has {len(answer.media)} m-lines, the offer {len(self._slots)}")
        accepted: list[Accepted] = []
        refused: list[Slot] = []
        first: Media | None = None
        for slot, media in zip(self._slots, answer.media, strict=True):
            if media.kind != slot.kind or (not media.stopped and media.mid != slot.mid):
                raise SdpError(f"the answer's m-line {slot.mid} does not match the offer")
            if slot.state == "rejected":
                continue
            taken = None if media.stopped else _accept(slot, media)
            if not media.stopped and first is None:
                first = media
            if media.stopped or (taken is None and slot.outgoing is not None and slot.state == "live"):
                refused.append(slot)
            elif taken is not None:
                accepted.append(taken)
        if first is None:
            raise SdpError("the answer rejects every m-line")
        if sdp.setup(answer, first) != "active":
            raise SdpError("a=setup must be active: this server is the DTLS server")
        result = Answered(
            tuple(accepted),
            tuple(s.outgoing.track.id for s in refused if s.outgoing is not None),
            sdp.ice(answer, first),
            tuple(sdp.fingerprints(answer, first)),
        )
        if pinned and result.fingerprints != pinned:
            raise SdpError("a=fingerprint changed: a new connection needs a rebuild")
        for slot, media in zip(self._slots, answer.media, strict=True):
            if media.stopped:
                slot.state = "rejected"
            elif slot.state == "told":
                slot.state = "idle"
        self._outstanding = None
        self.unanswered = 0
        return result


def _section(slot: Slot) -> Attributes:
    wanted = subscribe_extensions(slot.kind, slot.shape.codec)
    outgoing = slot.outgoing
    lines: Attributes = [("extmap", f"{EXTENSION_IDS[uri]} {uri}") for uri in wanted if uri in EXTENSION_IDS]
    if DEPENDENCY_DESCRIPTOR_URI in wanted:
        lines.append(("extmap-allow-mixed", None))  # its values outgrow the 16 bytes of the one-byte form
    lines += codec_attributes(slot.shape)
    if slot.state != "live" or outgoing is None:
        return [("inactive", None), *lines]
    msid = f"{outgoing.track.participant} {outgoing.track.id}"
    lines.append(("msid", msid))
    if outgoing.rtx_ssrc is not None:
        lines.append(("ssrc-group", f"FID {outgoing.ssrc} {outgoing.rtx_ssrc}"))
    for ssrc in (outgoing.ssrc, outgoing.rtx_ssrc):
        if ssrc is not None:
            lines += [("ssrc", f"{ssrc} cname:{outgoing.track.participant}"), ("ssrc", f"{ssrc} msid:{msid}")]
    return [("sendonly", None), *lines]


def _accept(slot: Slot, media: Media) -> Accepted | None:
    outgoing = slot.outgoing
    if outgoing is None or slot.state != "live" or media.direction not in ("recvonly", "sendrecv"):
        return None
    agreed = {p.number: p for p in sdp.codecs(media)}
    payload = agreed.get(outgoing.chosen.payload_type)
    if payload is None:
        return None
    rtx = outgoing.chosen.rtx in agreed
    red = outgoing.chosen.red if outgoing.chosen.red in agreed else None
    extensions = extension_ids(sdp.extensions(media), subscribe_extensions(slot.kind, outgoing.chosen.codec))
    if TRANSPORT_CC not in payload.feedback:
        extensions = replace(extensions, transport_cc=None)
    return Accepted(slot.mid, replace(outgoing), rtx, extensions, "nack" in payload.feedback, red)
