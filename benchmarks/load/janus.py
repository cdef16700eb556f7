"""Janus as installed by the system's package, in the configuration that measured cheapest: one event loop, ICE lite,
one core, no plugin but the video room; its WebSocket API as `Signalling`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load.process import Process
from sfu.interface import TrackLabel

ROOM = 1234
ANSWER_WITHIN = 10.0

CONFIGURATION = """
general: {{
    configs_folder = "{folder}"
    debug_level = 2
    debug_timestamps = false
    event_loops = 1
    allow_loop_indication = false
    session_timeout = 0
    log_to_stdout = true
}}
media: {{ rtp_port_range = "20000-40000" }}
nat: {{
    ice_lite = true
}}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
events: {{ broadcast = false }}
"""
TRANSPORT = """
general: {{ json = "compact", ws = true, ws_ip = "127.0.0.1", ws_port = {port}, wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
"""
OTHERS = {
    "plugins": "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail",
    "transports": "http mqtt nanomsg pfunix rabbitmq",
}
"""What a video room does not need."""


class Janus:
    """The server, and the session that its handles live in."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._folder = tempfile.TemporaryDirectory(prefix="janus-")
        self._process: Process | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._session = 0
        self._handles: dict[str, int] = {}
        self._number = 0
        self._publisher_id = 0

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Raises `RuntimeError` where it does not come up."""
        program = shutil.which("janus")
        if program is None:
            raise RuntimeError("janus is not installed")
        folder = Path(self._folder.name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        off = {kind: ",".join(f"libjanus_{name}.so" for name in names.split()) for kind, names in OTHERS.items()}
        (folder / "janus.jcfg").write_text(CONFIGURATION.format(folder=folder, **off))
        (folder / "janus.transport.websockets.jcfg").write_text(TRANSPORT.format(port=port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        self._process = Process(program, "-F", str(folder), "-C", str(folder / "janus.jcfg"))
        await self._process.start()
        for _ in range(100):
            with contextlib.suppress(aiohttp.ClientError):
                self._socket = await self._http.ws_connect(f"http://127.0.0.1:{port}", protocols=("janus-protocol",))
                break
            await asyncio.sleep(0.1)
        if self._socket is None:
            raise RuntimeError("janus does not answer")
        self._reader = asyncio.create_task(self._read(self._socket))
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]
        created = {
            "request": "create", "room": ROOM, "publishers": 4, "videocodec": "vp8", "bitrate": 0,
            "transport_wide_cc_ext": False, "videoorient_ext": False, "playoutdelay_ext": False,
        }  # fmt: skip
        await self._message("publisher", created)
        joined = await self._message("publisher", {"request": "join", "ptype": "publisher", "room": ROOM})
        self._publisher_id = joined["plugindata"]["data"]["id"]

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                break
            message = frame.json()
            if message.get("janus") == "ack":
                continue
            waiting = self._waiting.pop(message.get("transaction", ""), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._socket is not None
        self._number += 1
        transaction = str(self._number)
        self._waiting[transaction] = asyncio.get_running_loop().create_future()
        session = {"session_id": self._session} if self._session else {}
        await self._socket.send_json(request | session | {"transaction": transaction})
        async with asyncio.timeout(ANSWER_WITHIN):
            answer = await self._waiting[transaction]
        if answer.get("janus") == "error" or "error" in answer.get("plugindata", {}).get("data", {}):
            raise ConnectionError(f"janus refused {request}: {answer}")
        return answer

    async def _message(self, handle: str, body: dict[str, Any], jsep: dict[str, str] | None = None) -> dict[str, Any]:
        if handle not in self._handles:
            attached = await self._ask({"janus": "attach", "plugin": "janus.plugin.videoroom"})
            self._handles[handle] = attached["data"]["id"]
        request = {"janus": "message", "handle_id": self._handles[handle], "body": body}
        return await self._ask(request | ({"jsep": jsep} if jsep else {}))

    # --- Signalling -----------------------------------------------------------------------------

    async def publish(self, offer: str, labels: list[TrackLabel]) -> str:
        offer = offer.replace("a=setup:actpass", "a=setup:active")  # offered a choice, it would be the DTLS client
        answer = await self._message("publisher", {"request": "publish"}, {"type": "offer", "sdp": offer})
        return str(answer["jsep"]["sdp"])

    async def subscribe(self, viewer: str) -> str:
        body = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": [{"feed": self._publisher_id}]}
        return str((await self._message(viewer, body))["jsep"]["sdp"])

    async def answer(self, viewer: str, answer: str) -> None:
        await self._message(viewer, {"request": "start"}, {"type": "answer", "sdp": answer})

    async def stop(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._process is not None:
            await self._process.stop()
        self._folder.cleanup()
