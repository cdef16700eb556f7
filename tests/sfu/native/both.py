"""The two planes side by side, and the far ends of their transports."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from sfu.plane import SrtpKeys
from sfu.plane.compiled import NativePlane
from sfu.plane.python import PythonPlane
from sfu.rtp import RtpPacket, is_rtcp, parse_header
from sfu.srtp import KEY_LENGTHS, PROFILES
from sfu.twcc import ArrivalRecorder


class Both:
    """The two planes and one set of peers, within `fuzz.dice.seeded`. Every call goes to both; what leaves is compared
    after each."""

    PROFILES = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM")

    def __init__(self, seed: int) -> None:
        self.out: list[list[tuple[object, bytes]]] = [[], []]
        self.taps: list[list[object]] = [[], []]
        self.planes = (
            PythonPlane(lambda route, data: self.out[0].append((route, data))),
            # All is one group here, so that a second worker changes nothing.
            NativePlane(lambda route, data: self.out[1].append((route, data)), seed, threads=1 + seed % 2),
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
