"""What we touch inside aiortc. When one of these fails, `sfu/dtls.py` must be read again."""

from __future__ import annotations

import asyncio
import inspect

import aiortc
from aiortc import rtcdtlstransport as aio
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport

from sfu.dtls import PROFILES, Certificate, DtlsSession
from sfu.plane import SrtpKeys


def test_version_is_the_one_that_was_read() -> None:
    assert aiortc.__version__ == "1.16.0"


def test_the_names_we_use_are_there() -> None:
    async def build() -> RTCDtlsTransport:
        class Pipe:
            role, state = "controlled", "completed"

        return RTCDtlsTransport(Pipe(), [RTCCertificate.generateCertificate()])  # type: ignore[arg-type]

    transport = asyncio.run(build())
    assert transport._role == "auto"
    assert transport._task is None
    assert transport._ssl is None
    assert transport._srtp_profiles == aio.SRTP_PROFILES
    assert transport._state is aio.State.NEW
    assert inspect.iscoroutinefunction(transport.start)
    assert inspect.iscoroutinefunction(transport.stop)
    assert list(inspect.signature(transport._setup_srtp).parameters) == []
    assert list(inspect.signature(transport._set_role).parameters) == ["role"]
    assert list(inspect.signature(transport._set_state).parameters) == ["state"]
    assert aio.State.FAILED


def test_start_calls_setup_after_the_identity_check_and_before_the_pump() -> None:
    source = inspect.getsource(RTCDtlsTransport.start)
    order = [source.index(part) for part in ("_do_handshake()", "_validate_peer_identity(", "_setup_srtp()", "__run()")]
    assert order == sorted(order)


def test_transport_is_used_for_nothing_but_recv_send_and_role() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    uses = {
        part.split("(")[0].split(")")[0].split(",")[0].split("\n")[0] for part in source.split("self.transport.")[1:]
    }
    assert {u.strip(" :=") for u in uses} <= {"_recv", "_send", "role", 'role == "controlling"'}


def test_profiles_are_those_of_aiortc() -> None:
    for name, profile in PROFILES:
        lengths = {"AEAD_AES_128_GCM": (16, 12), "AEAD_AES_256_GCM": (32, 12), "AES_CM_128_HMAC_SHA1_80": (16, 14)}
        assert (profile.key_length, profile.salt_length) == lengths[name]


class Pair:
    """A DTLS client and server wired to each other."""

    def __init__(self, *, expect: list[tuple[str, str]] | None = None) -> None:
        ours, theirs = Certificate(), Certificate()
        self.keys: dict[str, SrtpKeys] = {}
        self.server = DtlsSession(ours, "server", expect or [theirs.fingerprint], self._to_client)
        self.client = DtlsSession(theirs, "client", [ours.fingerprint], self._to_server)
        self.ready = asyncio.Event()

    def _to_client(self, datagram: bytes) -> None:
        assert len(datagram) <= 1500
        self.client.receive(datagram)

    def _to_server(self, datagram: bytes) -> None:
        self.server.receive(datagram)

    def got(self, name: str, keys: SrtpKeys) -> None:
        self.keys[name] = keys
        if len(self.keys) == 2:
            self.ready.set()


async def test_both_ends_get_the_same_keys_crosswise_gcm_first_and_garbage_does_no_harm() -> None:
    pair = Pair()
    for garbage in (b"\x14", b"\x16" * 40, bytes([20]) + bytes(200), b"\x16\xfe\xfd" + bytes(8) + b"\xff\xff"):
        pair.server.receive(garbage)
    server = asyncio.create_task(pair.server.run(lambda k: pair.got("server", k)))
    client = asyncio.create_task(pair.client.run(lambda k: pair.got("client", k)))
    await asyncio.wait_for(pair.ready.wait(), 10)
    ours, theirs = pair.keys["server"], pair.keys["client"]
    assert ours.profile == theirs.profile == "AEAD_AES_128_GCM"
    assert (ours.rx, ours.tx) == (theirs.tx, theirs.rx)
    assert len(ours.rx) == 28
    for garbage in (b"\x17\xfe\xfd" + bytes(60), b"\x15\xfe\xfd" + bytes(10) + b"\x02\x02\x28", b"\x14" * 1400):
        pair.server.receive(garbage)
    await asyncio.sleep(0.05)
    assert not server.done()
    await pair.client.close()
    assert await asyncio.wait_for(server, 5) is True
    assert await asyncio.wait_for(client, 5) is True


async def test_wrong_certificate_is_refused() -> None:
    pair = Pair(expect=[Certificate().fingerprint])
    server = asyncio.create_task(pair.server.run(lambda k: pair.got("server", k)))
    client = asyncio.create_task(pair.client.run(lambda k: pair.got("client", k)))
    assert await asyncio.wait_for(server, 10) is False
    assert "server" not in pair.keys
    client.cancel()


async def test_queue_is_bounded() -> None:
    pair = Pair()
    assert not all(pair.server.receive(b"\x16") for _ in range(1000))
