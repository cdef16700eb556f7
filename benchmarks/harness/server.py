"""The real server as a process: started from nothing, killed without mercy, started again on the same data."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp


def free_port() -> int:
    """A port that was free a moment ago for TCP and UDP on loopback."""
    for _ in range(20):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free for both TCP and UDP on 127.0.0.1")


class ServerProcess:
    """``consilium serve`` on loopback with its own data folder. `settings` are environment names without the prefix;
    `module` is what Python runs as the server."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        wrapper: tuple[str, ...] = (),
        module: str = "signaling",
        **settings: object,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.media_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.links_file = folder / "links.json"
        self.links: dict[str, Any] = {}
        self._arguments = arguments
        self._wrapper = wrapper
        self._module = module
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """What the server sees: our settings, and nothing of the caller's own Consilium."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONSILIUM_")}
        ours = {
            "host": "127.0.0.1",
            "port": self.port,
            "data_dir": self.folder / "data",
            "media_host": "127.0.0.1",
            "media_port": self.media_port,
            **self._settings,
        }
        return inherited | {f"CONSILIUM_{name.upper()}": str(value) for name, value in ours.items()}

    async def start(self, timeout: float = 60.0) -> None:
        """Start and wait until it answers; raises RuntimeError with the end of its log when it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.links_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._wrapper, sys.executable, "-m", self._module, "serve", "--json-links", str(self.links_file),
                *self._arguments,
                env=self.environment(), stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(timeout):
                await self._answering()
        except TimeoutError:
            await self.kill()
            raise RuntimeError(f"the server did not answer within {timeout} s:\n{self.tail()}") from None
        self.links = json.loads(self.links_file.read_text())

    async def _answering(self) -> None:
        assert self._process is not None
        async with aiohttp.ClientSession() as http:
            while True:
                if self._process.returncode is not None:
                    raise RuntimeError(f"the server stopped with {self._process.returncode}:\n{self.tail()}")
                try:
                    async with http.get(f"{self.url}/healthz") as answer:
                        if answer.status == 200 and self.links_file.exists():
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    def tail(self, characters: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:]

    async def stop(self, timeout: float = 20.0) -> int:
        """Ask it to stop, as systemd would; returns its exit status."""
        return await self._end(signal.SIGTERM, timeout)

    async def kill(self) -> int:
        """``kill -9``, caption workers too: what a power cut leaves is what the next start finds."""
        return await self._end(signal.SIGKILL, 10.0)

    async def _end(self, number: signal.Signals, timeout: float) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if process.returncode is None:
            # A wrapper like strace keeps signals to itself, so the whole group gets them.
            if number is signal.SIGKILL or self._wrapper:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        try:
            async with asyncio.timeout(timeout):
                return await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise RuntimeError(f"the server did not stop within {timeout} s:\n{self.tail()}") from None

    async def __aenter__(self) -> ServerProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
