"""Debian's coturn with the configuration that we ship, on loopback."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from signaling import tls

SHIPPED = Path(__file__).parent.parent / "docs" / "deploy" / "coturn.conf"
COTURN = shutil.which("turnserver")
SECRET = "a-secret-of-the-tests-that-nobody-else-has"


@dataclass(frozen=True)
class Coturn:
    """A running relay. `cert` is its certificate, for `turns:`."""

    port: int
    tls_port: int
    cert: Path
    log: Path

    @property
    def udp(self) -> str:
        return f"turn:127.0.0.1:{self.port}"

    @property
    def tcp(self) -> str:
        return f"turn:127.0.0.1:{self.port}?transport=tcp"

    @property
    def tls(self) -> str:
        return f"turns:127.0.0.1:{self.tls_port}?transport=tcp"


def _free_port() -> int:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])


def configuration(changes: dict[str, str]) -> str:
    """The shipped file with values changed. Every change must be of a line that is there."""
    lines = []
    for line in SHIPPED.read_text().splitlines():
        name, found, _ = line.partition("=")
        lines.append(f"{name}={changes.pop(name)}" if found and name in changes else line)
    assert not changes, f"the shipped configuration has no {', '.join(changes)}"
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def coturn(folder: Path, allowed_peer: str = "127.0.0.1") -> AsyncIterator[Coturn]:
    """Runs until left. Loopback peers are a test's only; the rest is as shipped."""
    assert COTURN is not None
    folder.mkdir(parents=True, exist_ok=True)
    relay = Coturn(_free_port(), _free_port(), folder / "cert.pem", folder / "turn.log")
    tls.make(relay.cert, folder / "key.pem", ["127.0.0.1"])
    config = folder / "turnserver.conf"
    config.write_text(
        configuration(
            {
                "listening-port": str(relay.port),
                "tls-listening-port": str(relay.tls_port),
                "static-auth-secret": SECRET,
                "allowed-peer-ip": allowed_peer,
                "cert": str(relay.cert),
                "pkey": str(folder / "key.pem"),
            }
        ).replace("\nsyslog\n", f"\nlog-file={relay.log}\n")
    )
    with (folder / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            COTURN, "-c", str(config), "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers",
            "--relay-threads=1", f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'turndb'}",
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
        )  # fmt: skip
    try:
        await _listening(process, (relay.port, relay.tls_port), folder)
        yield relay
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, ports: tuple[int, ...], folder: Path) -> None:
    async with asyncio.timeout(20):
        for port in ports:
            while True:
                assert process.returncode is None, (folder / "output.log").read_text()[-2000:]
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
