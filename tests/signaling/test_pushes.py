"""A broadcast pushed to another platform: FFmpeg's own RTMP server takes it, ffprobe reads what it wrote."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from signaling import protocol
from tests.signaling.conftest import Browser, Open
from tests.signaling.test_whep import RED, Colour, Peers, Tone, live, peers, publish

__all__ = ["peers"]
KEY = "sk-secret-8131"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def until(host: Browser, state: str, codec: str | None = None) -> dict[str, Any]:
    def there(message: dict[str, Any]) -> bool:
        return [(one["state"], one.get("codec")) for one in message["pushes"]] == [(state, codec)]

    async with asyncio.timeout(60):
        return await host.wait("pushes", there)


async def probe(file: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-count_packets", "-of", "json", str(file)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert not errors, errors.decode()
    streams = json.loads(out)["streams"]
    return {one["codec_type"]: one for one in streams}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
async def test_a_platform_gets_the_broadcast_and_nobody_the_key(
    open_house: Open, peers: Peers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    house = await open_house(
        broadcast={"push": 2, "push_private": True},
        media={"host": "127.0.0.1", "port": 0, "video_codec": "h264"},
    )
    host = await house.join("host")
    await live(house, host)
    await publish(house, peers(), "Red", "H264", Colour(RED), Tone(440))
    port, file = free_port(), tmp_path / "taken.flv"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/app/{KEY}"]
    receiver = await asyncio.create_subprocess_exec(
        *command, "-c", "copy", str(file), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        # Where the receiver is not there yet it is tried again.
        answer = await host.ask(protocol.AddPush(url=f"rtmp://127.0.0.1:{port}/app", key=KEY))
        assert answer["type"] == "ack"
        told = await until(host, "live")
        assert told["most"] == 2 and told["pushes"][0]["server"] == f"rtmp://127.0.0.1:{port}"
        async with asyncio.timeout(60):
            while not file.exists() or file.stat().st_size < 30_000:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
        async with asyncio.timeout(60):
            assert await receiver.wait() == 0, "it was ended as RTMP has it"
    finally:
        if receiver.returncode is None:
            receiver.kill()
            await receiver.wait()
    streams = await probe(file)
    assert (streams["video"]["codec_name"], streams["audio"]["codec_name"]) == ("h264", "aac")
    assert int(streams["video"]["nb_read_packets"]) > 10 and int(streams["audio"]["nb_read_packets"]) > 10
    assert KEY not in json.dumps(host.seen)
    captured = capfd.readouterr()
    assert KEY not in captured.out + captured.err


async def test_what_is_no_platform_is_refused(open_house: Open) -> None:
    house = await open_house(broadcast={"push": 1})
    host = await house.join("host")
    await host.send(protocol.ListPushes())
    assert (await host.wait("pushes"))["most"] == 1
    good = protocol.AddPush(url="rtmp://127.0.0.1/app", key=KEY)
    assert (await host.ask(good))["code"] == "bad-state", "nothing is planned"
    await live(house, host)
    for url in ("file:///etc/passwd", "http://127.0.0.1/app", "rtmpe://127.0.0.1/app", "rtmp://127.0.0.1"):
        assert (await host.ask(protocol.AddPush(url=url, key=KEY)))["code"] == "malformed"
    assert (await host.ask(good))["type"] == "ack"
    assert (await host.ask(good))["code"] == "too-large"
    async with asyncio.timeout(60):
        told = await host.wait("pushes", lambda message: message["pushes"][0]["state"] == "failed")
    assert told["pushes"][0]["reason"] == "private"
    assert (await host.ask(protocol.RemovePush(push=told["pushes"][0]["id"])))["type"] == "ack"
    assert (await host.ask(protocol.RemovePush(push=told["pushes"][0]["id"])))["code"] == "not-found"
    guest = await house.join("guest", "Ben")
    assert (await guest.ask(good))["code"] == "not-allowed"


async def test_it_is_off_unless_it_is_switched_on(open_house: Open) -> None:
    house = await open_house()
    host = await house.join("host")
    await live(house, host)
    assert (await host.ask(protocol.AddPush(url="rtmp://127.0.0.1/app", key=KEY)))["code"] == "not-allowed"
