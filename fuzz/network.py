"""What else comes from the network: STUN and ICE, session descriptions, framing."""

from __future__ import annotations

from fuzz.pieces import pieces
from sfu import negotiation, sdp, stun
from sfu.framing import Deframer, FramingError, frame
from sfu.ice import Credentials, IceLite
from sfu.interface import SdpError
from sfu.subscription import Subscription
from sfu.taps import Codec, TrackInfo, TrackSource

try:
    from sfu.plane import _native as native
except ImportError:
    native = None  # type: ignore[assignment]

LOCAL = Credentials("ufrag", "password that is long enough")
PASSWORD = LOCAL.password.encode()
TRANSPORT = negotiation.LocalTransport(LOCAL, ("sha-256", "AB" + ":CD" * 31), "passive", ("192.0.2.1",), 7881)


def stun_messages(data: bytes) -> None:
    """A mode (1: the integrity and fingerprint are put right), then one message, and what the ICE agent makes of it."""
    if not data:
        return
    datagram = data[1:]
    if data[0] & 1:
        datagram = signed(datagram)
    ice = IceLite()
    ice.open("session", LOCAL, "remote" if data[0] & 2 else None, 0.0)
    reaction = ice.receive("route", ("192.0.2.9", 9), datagram, 1.0)
    ice.receive("other", ("2001:db8::9", 9), datagram, 1.1)
    ice.tick(100.0)
    if reaction.reply is not None:
        assert stun.parse(reaction.reply).transaction == datagram[8:20]
    try:
        message = stun.parse(datagram)
    except stun.StunError:
        return
    assert len(message.transaction) == 12 and message.kind in stun.Class and 0 <= message.method < 1 << 12
    told = (message.username, message.unknown_required, message.mapped_address, message.error_code)
    assert told is not None and isinstance(message.authentic(PASSWORD), bool)


def signed(datagram: bytes) -> bytes:
    """The same attributes as a request that authenticates."""
    try:
        message = stun.parse(datagram)
    except stun.StunError:
        return datagram
    ours = (stun.Attribute.MESSAGE_INTEGRITY, stun.Attribute.FINGERPRINT)
    kept = [(kind, value) for kind, value in message.attributes if kind not in ours]
    return stun.build(stun.Class.REQUEST, message.transaction, kept, PASSWORD)


def description(data: bytes) -> None:
    """A mode, then an SDP text: as an offer of somebody who publishes, and as the answer of a subscriber."""
    try:
        text = data[1:].decode()
    except UnicodeError:
        return
    try:
        parsed = sdp.parse(text)
    except SdpError:
        return
    if data[0] & 1:
        answered(text)
    labels: dict[str, TrackSource] = {}
    for media in parsed.media:
        try:
            source: TrackSource = "microphone" if media.kind == "audio" else "camera"
            labels[media.mid] = source
        except SdpError:
            return
    again = sdp.parse(sdp.serialise(parsed))
    assert (again.media, again.attributes) == (parsed.media, parsed.attributes)
    try:
        plan = negotiation.plan_publish(parsed, labels)
    except SdpError:
        return
    assert len(plan.incoming) <= negotiation.MAX_TRACKS
    answer = negotiation.write_answer(plan, TRANSPORT if plan.ice else None, "1", 1)
    assert len(sdp.parse(answer).media) == len(parsed.media)


def answered(text: str) -> None:
    """Against an offer of a microphone and a camera."""
    numbers = iter(range(1, 100))
    subscription = Subscription("1", lambda: next(numbers))
    subscription.add(TrackInfo("a", "ana", "audio", "microphone", Codec("OPUS", 48000, 2)), 0.0)
    subscription.add(TrackInfo("v", "ana", "video", "camera", Codec("VP8", 90000)), 0.0)
    subscription.offer(1, TRANSPORT, 1.0)
    try:
        subscription.answer(1, text)
    except SdpError:
        return


def framing(data: bytes) -> None:
    """RFC 4571: a stream in the pieces in which it came, and all at once, gives the same datagrams, natively too."""
    parts = [part for _, part in pieces(data)]
    once, slow = Deframer(), Deframer()
    try:
        whole: list[bytes] | None = once.feed(b"".join(parts))
    except FramingError:
        whole = None
    found: list[bytes] = []
    try:
        for part in parts:
            found += slow.feed(part)
    except FramingError:
        assert whole is None
        assert native is None or _natively(parts) is None
        return
    assert whole == found
    if native is not None:
        assert _natively(parts) == found
        # What Python has begun, the native plane finishes.
        rest, tail = slow.rest, slow.rest[2:] and bytes(int.from_bytes(slow.rest[:2], "big") - len(slow.rest) + 2)
        assert native.Deframer(rest).feed(tail) == slow.feed(tail)
    assert Deframer().feed(b"".join(map(frame, found))) == found


def _natively(parts: list[bytes]) -> list[bytes] | None:
    deframer, found = native.Deframer(b""), list[bytes]()
    try:
        for part in parts:
            found += deframer.feed(part)
    except ValueError:
        return None
    return found
