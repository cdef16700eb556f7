"""Session descriptions: what browsers really sent, what nobody should send, and any text at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import sdp
from sfu.interface import SdpError
from sfu.sdp import parse

SDP = Path(__file__).parent / "sdp"


def recorded(name: str) -> str:
    return (SDP / f"{name}.sdp").read_text()


@pytest.mark.parametrize("path", sorted(SDP.glob("*.sdp")), ids=lambda p: p.stem)
def test_recorded_descriptions_survive_a_round_trip(path: Path) -> None:
    first = parse(path.read_text())
    again = parse(sdp.serialise(first))
    assert again == first
    assert [m.kind for m in first.media] == ["audio", "video"][-len(first.media) :]
    assert [m.mid for m in first.media] == ["0", "1"][: len(first.media)]


def test_chromium_offer_is_understood() -> None:
    offer = parse(recorded("chromium-publish-offer"))
    audio, video = offer.media
    opus = sdp.codecs(audio)[0]
    assert (opus.number, opus.name, opus.clock_rate, opus.channels) == (111, "OPUS", 48000, 2)
    assert opus.parameters == {"minptime": "10", "useinbandfec": "1"}
    assert {"VP8", "VP9", "AV1", "RTX"} <= {c.name for c in sdp.codecs(video)}
    assert all(sdp.ssrcs(video))
    assert not video.stopped
    assert len(sdp.ice(offer, video).password) >= 22
    assert sdp.fingerprints(offer, video)[0][0] == "sha-256"
    assert "urn:ietf:params:rtp-hdrext:ssrc-audio-level" in sdp.extensions(audio)


def test_firefox_offer_waits_for_its_bundle_and_shares_the_session_fingerprint() -> None:
    offer = parse(recorded("firefox-publish-offer"))
    video = offer.media[1]
    assert video.port == 0
    assert not video.stopped
    assert sdp.fingerprints(offer, video)[0][0] == "sha-256"
    assert sdp.ssrcs(video)[1] is not None


MINIMAL = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "v=0"),
        ("hello", "v=0"),
        ("v=1\r\n", "v=0"),
        ("v=0\r\n", "no o= line"),
        ("v=0\r\na=x\r\n", "before o="),
        ("v=0\r\no=-\r\n", "o= line is malformed"),
        ("v=0\r\no=- x 1 IN IP4 0\r\n", "o= line is malformed"),
        (MINIMAL + "o=- 1 1 IN IP4 0.0.0.0\r\n", "more than one o="),
        (MINIMAL + "garbage\r\n", "line 5 is malformed"),
        (MINIMAL + "a=x\0y\r\n", "line 5 is malformed"),
        (MINIMAL + "a=x\ry\r\n", "line 5 is malformed"),
        (MINIMAL + "a=:x\r\n", "line 5 is malformed"),
        (MINIMAL + "m=audio\r\n", "m= line"),
        (MINIMAL + "m=audio x UDP/TLS/RTP/SAVPF 0\r\n", "m= line"),
        (MINIMAL + "m=audio 70000 UDP/TLS/RTP/SAVPF 0\r\n", "m= line"),
        (MINIMAL + "m=audio 9  0\r\n", "m= line"),
        (MINIMAL + "a=" + "x" * 5000 + "\r\n", "line 5 is malformed"),
        (MINIMAL + "a=x\r\n" * 5000, "too many lines"),
        (MINIMAL + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 200, "too many m-lines"),
        (MINIMAL + "x" * 300_000, "too long"),
    ],
)
def test_malformed_descriptions_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        parse(text)


def media(*lines: str) -> tuple[sdp.Description, sdp.Media]:
    description = parse(MINIMAL + "m=audio 9 UDP/TLS/RTP/SAVPF 111 112\r\n" + "".join(f"a={x}\r\n" for x in lines))
    return description, description.media[0]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("ice-ufrag:abcd",),
        ("ice-ufrag:ab", "ice-pwd:" + "x" * 24),
        ("ice-ufrag:abcd", "ice-pwd:short"),
        ("ice-ufrag:ab:cd", "ice-pwd:" + "x" * 24),
        ("ice-ufrag:" + "a" * 300, "ice-pwd:" + "x" * 24),
    ],
)
def test_bad_ice_parameters_are_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(SdpError, match="ice-"):
        sdp.ice(*media(*lines))


@pytest.mark.parametrize(
    "line", ["x:y", "fingerprint:md5 00:11", "fingerprint:sha-256 00:11", "fingerprint:sha-256 zz"]
)
def test_bad_fingerprints_are_refused(line: str) -> None:
    with pytest.raises(SdpError, match="fingerprint"):
        sdp.fingerprints(*media(line))


def test_nonsense_in_codecs_extensions_and_ssrcs_is_left_out() -> None:
    _, section = media(
        "rtpmap:111 opus/48000/2",
        "rtpmap:112 opus",
        "rtpmap:999 opus/48000/2",
        "rtpmap:x",
        "extmap:0 zero",
        "extmap:15 fifteen",
        "extmap:3/sendonly three",
        "extmap:x",
        "ssrc-group:FID 1",
        "ssrc-group:FID 1 99999999999",
        "ssrc:y cname:x",
    )
    assert [c.number for c in sdp.codecs(section)] == [111]
    assert sdp.extensions(section) == {"three": 3}
    assert sdp.ssrcs(section) == (None, None)


@pytest.mark.parametrize("mid", ["mid", "mid:", "mid:a b", "mid:" + "x" * 65, "x"])
def test_mids_must_be_tokens(mid: str) -> None:
    _, section = media(mid)
    with pytest.raises(SdpError, match="mid"):
        section.mid  # noqa: B018


@given(st.text(max_size=300))
def test_any_text_parses_or_raises(text: str) -> None:
    for attempt in (text, MINIMAL + text):
        try:
            description = parse(attempt)
        except SdpError:
            continue
        for section in description.media:
            sdp.codecs(section), sdp.extensions(section), sdp.ssrcs(section)


LINES = recorded("chromium-publish-offer").splitlines()


@given(st.data())
def test_mutilated_offers_parse_or_raise(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 5))):
        index = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "cut", "replace"]))
        if change == "drop" and len(lines) > 1:
            del lines[index]
        elif change == "double":
            lines.insert(index, lines[index])
        elif change == "cut":
            lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
        else:
            lines[index] = lines[index][:6] + data.draw(st.text(max_size=20))
    from sfu.negotiation import plan_publish, write_answer

    try:
        plan = plan_publish(parse("\r\n".join(lines)), {"0": "microphone", "1": "camera"})
    except SdpError:
        return
    answer = parse(write_answer(plan, None, "1", 1))
    assert len(answer.media) == len(plan.sections)
