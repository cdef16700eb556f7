"""The picture of a broadcast's holding page: what is taken, and who is shown it."""

from __future__ import annotations

import base64
import contextlib
import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import protocol
from signaling.holding import HEIGHT, WIDTH, HoldingError, jpeg, kind
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import Viewer, planned, state_of


def made(codec: str, pixels: str, width: int = 64, height: int = 48) -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pixels, 1
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 120, np.uint8), "rgb24").reformat(format=pixels)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


PNG, JPEG = made("png", "rgb24"), made("mjpeg", "yuvj420p")


@pytest.mark.parametrize(
    ("data", "demuxer"), [(PNG, "png_pipe"), (JPEG, "jpeg_pipe"), (made("libwebp", "yuv420p"), "webp_pipe")]
)
def test_three_kinds_are_told_by_their_first_bytes_and_made_anew(data: bytes, demuxer: str) -> None:
    assert kind(data) == (demuxer, 64, 48)
    ours = jpeg(data)
    assert kind(ours) == ("jpeg_pipe", 64, 48) and ours != data


def test_what_is_large_is_made_smaller_and_what_is_too_large_is_not_decoded() -> None:
    _, width, height = kind(jpeg(made("png", "rgb24", 2400, 600)))
    assert width == WIDTH and height <= HEIGHT
    bomb = PNG[:16] + (30_000).to_bytes(4, "big") * 2 + PNG[24:]
    for data in (bomb, PNG[:16] + bytes(8) + PNG[24:], b"GIF89a" + bytes(40), b"<svg/>", PNG[:20], PNG[:60], b""):
        with pytest.raises(HoldingError):
            jpeg(data)


@given(st.sampled_from([PNG, JPEG]), st.integers(0, 200), st.binary(max_size=20))
def test_no_header_breaks_it(data: bytes, at: int, other: bytes) -> None:
    with contextlib.suppress(HoldingError):
        kind(data[:at] + other + data[at + len(other) :])


async def test_a_host_gives_it_and_only_the_ticket_shows_it(house: House) -> None:
    host, guest = await house.join("host"), await house.join("guest")
    picture = protocol.SetHolding(image=base64.b64encode(PNG).decode())
    assert (await host.ask(picture))["code"] == "bad-state"  # of nothing
    state = await planned(host)
    assert (await guest.ask(picture))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetHolding(image="!")))["code"] == "malformed"
    assert (await host.ask(protocol.SetHolding(image=base64.b64encode(b"<svg/>").decode())))["code"] == "malformed"
    viewer = Viewer(house, state["id"])
    code = state["link"].partition("#k=")[2]
    assert (await viewer.access(code))[1]["image"] is None
    assert (await host.ask(picture))["type"] == "ack"
    assert state_of(host)["image"] is True
    _, view = await viewer.access(code)
    path = view["image"].removeprefix(f"/api/live/{state['id']}")
    status, body, headers = await viewer.get(path)
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and "private" in headers["Cache-Control"]
    with av.open(io.BytesIO(body), format="jpeg_pipe") as opened:
        assert next(opened.decode(video=0)).width == 64
    assert (await Viewer(house, state["id"]).get(path))[0] == 404  # a stranger
    assert (await host.ask(protocol.SetHolding(image="")))["type"] == "ack"
    assert (await viewer.get(path))[0] == 404 and state_of(host)["image"] is False
