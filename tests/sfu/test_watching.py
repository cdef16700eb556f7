"""What a viewer's offer is answered with."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import sdp
from sfu.ice import Credentials
from sfu.interface import SdpError
from sfu.negotiation import LocalTransport
from sfu.watching import Unacceptable, WatchPlan, plan_watch, write_watch
from tests.sfu.test_sdp import SDP as FOLDER

CHROMIUM = (FOLDER / "chromium-publish-offer.sdp").read_text().replace("a=sendonly", "a=recvonly")
FIREFOX = (FOLDER / "firefox-publish-offer.sdp").read_text().replace("a=sendonly", "a=recvonly")
HERE = LocalTransport(Credentials("ours", "a" * 24), ("sha-256", "AA:" * 31 + "AA"), "passive", ("127.0.0.1",), 8081)


def plan(text: str) -> WatchPlan:
    return plan_watch(sdp.parse(text), itertools.count(100).__next__)


@pytest.mark.parametrize("text", [CHROMIUM, FIREFOX])
def test_browsers_get_every_codec_that_both_know(text: str) -> None:
    found = plan(text)
    video, audio = found.of("video"), found.of("audio")
    assert video is not None and audio is not None
    assert {"VP8", "VP9"} <= set(video.codecs) and video.codecs[0] == "VP9"
    assert audio.codecs == ("OPUS",) and audio.rtx_ssrc is None
    answer = sdp.parse(write_watch(found, HERE, "1", 1))
    assert [media.kind for media in answer.media] == [media.kind for media in sdp.parse(text).media]
    for media in answer.media:
        if media.port:
            assert media.direction == "sendonly"
    agreed = next(media for media in answer.media if media.kind == "video" and media.port)
    offered = {
        p.number: p.name for p in sdp.codecs(sdp.parse(text).media[[m.mid for m in answer.media].index(agreed.mid)])
    }
    for payload in sdp.codecs(agreed):
        assert offered[payload.number] == payload.name
    assert sdp.ssrcs(agreed) == (video.ssrc, video.rtx_ssrc)
    assert len({line.ssrc for line in found.lines if line}) == 2


def test_who_decodes_nothing_of_ours_is_told_what_there_is() -> None:
    with pytest.raises(Unacceptable, match="VP9, H264, VP8, AV1"):
        plan(FIREFOX.replace("VP8/", "X/").replace("VP9/", "X/").replace("H264/", "X/").replace("AV1/", "X/"))
    with pytest.raises(Unacceptable, match="receives nothing"):
        plan(CHROMIUM.replace("a=recvonly", "a=sendonly"))


def test_what_would_not_connect_is_refused() -> None:
    for broken in (
        CHROMIUM.replace("a=setup:actpass", "a=setup:passive"),
        CHROMIUM.replace("a=rtcp-mux\r\n", "").replace("a=rtcp-mux\n", ""),
        CHROMIUM.replace("a=ice-ufrag", "a=nothing"),
        CHROMIUM.replace("a=fingerprint", "a=nothing"),
        CHROMIUM.replace("a=group:BUNDLE", "a=group:LS"),
    ):
        with pytest.raises(SdpError):
            plan(broken)


@given(st.data())
def test_no_offer_raises_anything_else(data: st.DataObject) -> None:
    lines = CHROMIUM.splitlines()
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(lines) - 1))
        act = data.draw(st.sampled_from(["drop", "twice", "cut"]))
        if act == "drop" and len(lines) > 1:
            del lines[at]
        elif act == "twice":
            lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1))])
        else:
            lines[at] = lines[at][: data.draw(st.integers(0, 20))]
    try:
        write_watch(plan("\r\n".join(lines) + "\r\n"), HERE, "1", 1)
    except SdpError as error:
        assert str(error)
