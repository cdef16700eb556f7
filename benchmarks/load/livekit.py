"""LiveKit's server, where `livekit-server` is on the path, as `Signalling`: its WebSocket takes JSON in text frames.

One node without Redis, ICE lite, one UDP port for everybody, no congestion control (with it, tracks were paused between
turns and did not come back). Its process has one core like the others, so Go runs on one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from benchmarks.load.process import Process
from sfu.interface import TrackLabel

KEY, SECRET = "benchmark", "a-secret-of-this-run-that-guards-nothing"
ROOM = "benchmark"
TRACK = "camera"
ANSWER_WITHIN = 20.0
CONFIGURATION = """
port: {port}
bind_addresses: ["127.0.0.1"]
keys: {{{key}: {secret}}}
logging: {{level: error}}
rtc:
  udp_port: {media}
  tcp_port: 0
  use_external_ip: false
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  use_ice_lite: true
  interfaces: {{includes: [lo]}}
  congestion_control: {{enabled: false}}
"""
_DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
_NOTHING = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000"
"""Its first m-line is for data, which our ends do not take: to them it is a picture that is not sent."""


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return value, at


def _fields(data: bytes) -> dict[int, bytes]:
    """The last value of each field of a protobuf message; numbers as one byte."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            found[tag >> 3] = data[at : at + value]
            at += value
        elif tag & 7 == 0:
            found[tag >> 3] = bytes([value & 0xFF])
        else:
            raise ConnectionError("a field that a signal never has")
    return found


class _Session:
    """One participant's WebSocket: what came waits by kind."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._queues: dict[str, asyncio.Queue[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    def _queue(self, kind: str) -> asyncio.Queue[Any]:
        return self._queues.setdefault(kind, asyncio.Queue())

    async def _read(self) -> None:
        async for frame in self.socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                for kind, value in frame.json().items():
                    if kind == "trickle":
                        target, value = value.get("target", "PUBLISHER"), json.loads(value["candidateInit"])
                        kind = f"trickle-{target}"
                    self._queue(kind).put_nowait(value)
            elif frame.type is aiohttp.WSMsgType.BINARY:
                self._binary(_fields(frame.data))

    def _binary(self, message: dict[int, bytes]) -> None:
        """What it says before it has heard from us, which is when it changes to JSON."""
        if 1 in message:
            self._queue("join").put_nowait({})
        elif 3 in message:
            self._queue("offer").put_nowait({"sdp": _fields(message[3])[2].decode()})
        elif 4 in message:
            trickle = _fields(message[4])
            target = "SUBSCRIBER" if trickle.get(2) == b"\x01" else "PUBLISHER"
            self._queue(f"trickle-{target}").put_nowait(json.loads(trickle[1]))

    async def wait(self, kind: str) -> Any:
        """The next of this kind. Raises `TimeoutError`."""
        async with asyncio.timeout(ANSWER_WITHIN):
            return await self._queue(kind).get()

    async def send(self, kind: str, value: dict[str, Any]) -> None:
        await self.socket.send_json({kind: value})

    async def close(self) -> None:
        await self.socket.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class LiveKit:
    """The server and everybody's sessions."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._folder = tempfile.TemporaryDirectory(prefix="livekit-")
        self._process: Process | None = None
        self._sessions: dict[str, _Session] = {}
        self._url = ""

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Raises `RuntimeError` where it does not come up."""
        program = shutil.which("livekit-server")
        if program is None:
            raise RuntimeError("livekit-server is not installed")
        port = _free(socket.SOCK_STREAM)
        file = Path(self._folder.name) / "livekit.yaml"
        file.write_text(CONFIGURATION.format(port=port, media=_free(socket.SOCK_DGRAM), key=KEY, secret=SECRET))
        self._process = Process(program, "--config", str(file))
        await self._process.start()
        self._url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            with contextlib.suppress(aiohttp.ClientError):
                async with self._http.get(self._url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
        raise RuntimeError("livekit-server does not answer")

    async def _join(self, name: str) -> _Session:
        claims = {
            "iss": KEY, "sub": name, "exp": int(time.time()) + 3600,
            "video": {"room": ROOM, "roomJoin": True, "canPublish": True, "canSubscribe": True},
        }  # fmt: skip
        query = {
            "access_token": jwt.encode(claims, SECRET, algorithm="HS256"),
            "protocol": "9", "sdk": "go", "auto_subscribe": "1", "adaptive_stream": "0",
        }  # fmt: skip
        session = self._sessions[name] = _Session(await self._http.ws_connect(f"{self._url}/rtc", params=query))
        await session.wait("join")
        await session.send("pingReq", {})  # from here on it speaks JSON
        return session

    async def _described(self, session: _Session, kind: str, target: str) -> str:
        """A description of the server's with its candidate in each m-line, where our ends look for it."""
        text = str((await session.wait(kind))["sdp"])
        if "a=candidate:" in text:
            return text
        line = str((await session.wait(f"trickle-{target}"))["candidate"])
        first, *media = text.split("\r\nm=")
        # The attribute stands behind the lines that must come first in an m-section.
        return "\r\nm=".join([first, *(f"{section.rstrip()}\r\na={line}" for section in media)]) + "\r\n"

    # --- Signalling -----------------------------------------------------------------------------

    async def publish(self, offer: str, labels: list[TrackLabel]) -> str:
        session = await self._join("publisher")
        await session.send("addTrack", {"cid": TRACK, "name": TRACK, "type": "VIDEO", "source": "CAMERA"})
        await session.wait("trackPublished")
        offer = offer.replace("a=setup:actpass", "a=setup:active")  # offered a choice, it would be the DTLS client
        # It knows tracks by the id that browsers write.
        offer = offer.replace("a=sendonly", f"a=sendonly\r\na=msid:stream {TRACK}")
        await session.send("offer", {"type": "offer", "sdp": offer})
        return await self._described(session, "answer", "PUBLISHER")

    async def subscribe(self, viewer: str) -> str:
        if viewer not in self._sessions:
            await self._join(viewer)
        offer = await self._described(self._sessions[viewer], "offer", "SUBSCRIBER")
        # VP8 and its retransmissions come first; our ends would choose another of the codecs that it lists.
        offer = re.sub(r"(m=video \d+ \S+ \d+ \d+)[ \d]*", r"\1", offer)
        head, data, rest = offer.partition(_DATA)
        return head + _NOTHING + rest.replace("a=sendrecv\r\n", "", 1) if data else offer

    async def answer(self, viewer: str, answer: str) -> None:
        first = answer.index("m=video")
        line = answer[first : answer.index("\r\n", first)]
        if line.split()[1] != "0" and "a=inactive" in answer:
            answer = answer.replace(line, _DATA, 1).replace("a=inactive", "a=sendrecv\r\na=sctp-port:5000", 1)
        await self._sessions[viewer].send("answer", {"type": "answer", "sdp": answer})

    async def stop(self) -> None:
        await asyncio.gather(*(session.close() for session in self._sessions.values()), return_exceptions=True)
        if self._process is not None:
            await self._process.stop()
        self._folder.cleanup()
