"""DTLS sessions that end at awkward moments."""

from __future__ import annotations

import asyncio

from sfu.dtls import Certificate, DtlsSession

CHANGE_CIPHER_SPEC = 20


async def test_a_session_cancelled_as_its_handshake_completes_ends() -> None:
    certificates = {"server": Certificate(), "client": Certificate()}
    sessions: dict[str, DtlsSession] = {}
    tasks: dict[str, asyncio.Task[bool]] = {}

    def to_client(datagram: bytes) -> None:
        sessions["client"].receive(datagram)
        if datagram[0] == CHANGE_CIPHER_SPEC:  # the server's last flight: its handshake is done in this very step
            tasks["server"].cancel()

    def to_server(datagram: bytes) -> None:
        sessions["server"].receive(datagram)

    for role, send, peer in (("server", to_client, "client"), ("client", to_server, "server")):
        fingerprint = certificates[peer].fingerprint
        sessions[role] = DtlsSession(
            certificates[role], "server" if role == "server" else "client", [fingerprint], send
        )
    for role, session in sessions.items():
        tasks[role] = asyncio.create_task(session.run(lambda keys: None))
    done, _ = await asyncio.wait([tasks["server"]], timeout=5)
    try:
        assert done and tasks["server"].cancelled()
    finally:
        tasks["client"].cancel()
        tasks["server"].cancel()
        for session in sessions.values():
            await session.close()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
