"""WHEP read, and WHIP written, by programs that nobody here wrote: MediaMTX (Pion) and the WHIP client of its authors.

MediaMTX is looked for in ``CONSILIUM_MEDIAMTX`` and in the path.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

import av
import pytest

from signaling import protocol
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import live
from tests.signaling.test_whep import RED, Colour, Tone, publish
from tests.signaling.test_whip import Peers, peers

__all__ = ["peers"]
MEDIAMTX = os.environ.get("CONSILIUM_MEDIAMTX") or shutil.which("mediamtx")

CONFIGURATION = """
logLevel: warn
rtspAddress: 127.0.0.1:{port}
rtspTransports: [tcp]
rtmp: no
hls: no
srt: no
webrtc: no
paths:
  programme:
    source: whep://viewer:{code}@127.0.0.1:{http}/api/live/{broadcast}/whep
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def read(url: str) -> tuple[tuple[int, ...], float, set[str]]:
    """The first decoded picture's middle, how loud the sound is, and the codecs; waits for the stream. Blocks."""
    with av.open(url, options={"rtsp_transport": "tcp", "timeout": "5000000"}) as container:
        codecs = {stream.codec_context.name for stream in container.streams}
        colour, loud = None, 0.0
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                colour = tuple(frame.to_ndarray(format="rgb24")[120, 160].tolist())
            elif isinstance(frame, av.AudioFrame):
                loud = max(loud, float(abs(frame.to_ndarray()).max()))
            if colour is not None and loud > 0.05:
                return colour, loud, codecs
    raise AssertionError(f"the stream ended: {colour}, {loud}")


@pytest.mark.skipif(MEDIAMTX is None, reason="MediaMTX is not installed")
async def test_mediamtx_pulls_the_programme(house: House, peers: Peers, tmp_path: Path) -> None:
    host = await house.join("host")
    _, state = await live(house, host)
    await publish(house, peers(), "Red", "H264", Colour(RED), Tone(440))
    red = (await host.wait("joined"))["person"]["id"]
    assert (await host.ask(protocol.Spotlight(participant=red)))["type"] == "ack"
    port, file = free_port(), tmp_path / "mediamtx.yml"
    code = state["link"].partition("#k=")[2]
    file.write_text(CONFIGURATION.format(port=port, code=code, http=house.server.port, broadcast=state["id"]))
    process = await asyncio.create_subprocess_exec(
        str(MEDIAMTX), str(file), cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        url, found = f"rtsp://127.0.0.1:{port}/programme", None
        async with asyncio.timeout(30):
            while found is None:
                try:
                    found = await asyncio.to_thread(read, url)
                except (av.FFmpegError, OSError):  # it has not connected yet
                    await asyncio.sleep(0.5)
    finally:
        process.terminate()
        output, _ = await process.communicate()
    colour, loud, codecs = found
    assert codecs == {"h264", "opus"} and loud > 0.05, output.decode()
    assert all(abs(a - b) < 60 for a, b in zip(colour, RED, strict=True)), colour
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
