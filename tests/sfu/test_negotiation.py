"""Offers and answers as pure functions: recorded browsers, wrong offers, the life of a subscriber's m-lines."""

from __future__ import annotations

from itertools import count

import pytest

from sfu import sdp
from sfu.capabilities import choose
from sfu.ice import Credentials
from sfu.interface import SdpError
from sfu.negotiation import LocalTransport, plan_publish, write_answer
from sfu.sdp import PayloadType, parse
from sfu.subscription import ANSWER_TIMEOUT, COALESCE, Subscription
from sfu.taps import Codec, TrackInfo
from tests.sfu.test_sdp import recorded

LOCAL = LocalTransport(
    Credentials("ufrag", "p" * 24), ("sha-256", ":".join(["AA"] * 32)), "passive", ("192.0.2.1", "2001:db8::1"), 8081
)
LABELS = {"0": "microphone", "1": "camera"}


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_browser_offer_gets_one_codec_per_line_in_our_order(browser: str) -> None:
    plan = plan_publish(parse(recorded(f"{browser}-publish-offer")), LABELS)  # type: ignore[arg-type]
    text = write_answer(plan, LOCAL, "7", 2)
    answer = parse(text)
    audio, video = answer.media
    assert [c.name for c in sdp.codecs(audio)] == ["OPUS"]
    assert sdp.codecs(audio)[0].parameters == {"minptime": "10", "useinbandfec": "1", "usedtx": "1"}
    assert [c.name for c in sdp.codecs(video)] == ["VP9", "RTX"]
    assert sdp.codecs(video)[0].feedback == {"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"}
    assert (audio.direction, video.direction) == ("recvonly", "recvonly")
    assert audio.port == video.port == 9
    assert sdp.has(answer.attributes, "ice-lite")
    assert sdp.values(answer.attributes, "group") == ["BUNDLE 0 1"]
    assert sdp.setup(answer, audio) == "passive"
    candidates = sdp.values(audio.attributes, "candidate")
    assert len(candidates) == 4
    assert sum("tcptype passive" in c for c in candidates) == 2
    assert sdp.has(audio.attributes, "end-of-candidates")
    assert sdp.values(video.attributes, "candidate") == []
    camera = plan.incoming["1"]
    assert camera.chosen.codec.name == "VP9"
    assert camera.ssrc and camera.rtx_ssrc
    assert plan.incoming["0"].extensions.audio_level is not None


def offer() -> str:
    return recorded("chromium-publish-offer").replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("a=rtcp-mux\n", ""), "rtcp-mux"),
        (("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "not in the BUNDLE group"),
        (("a=group:BUNDLE 0 1\n", ""), "need a=group:BUNDLE"),
        (("a=mid:1", "a=mid:0"), "two m-lines have the mid 0"),
        (("a=mid:1\n", ""), "no usable a=mid"),
        (("a=setup:actpass", "a=setup:passive"), "a=setup"),
        (("a=fingerprint:sha-256", "a=fingerprint:sha-1"), "no a=fingerprint"),
        (("a=ice-pwd", "a=ice-x"), "ice-pwd"),
    ],
)
def test_wrong_offers_are_refused_with_a_reason(change: tuple[str, str], reason: str) -> None:
    text = offer()
    assert change[0] in text
    with pytest.raises(SdpError, match=reason):
        plan_publish(parse(text.replace(*change)), LABELS)  # type: ignore[arg-type]


def test_two_lines_with_one_ssrc_are_refused() -> None:
    description = parse(offer())
    first, second = (sdp.ssrcs(m)[0] for m in description.media)
    text = offer().replace(f"a=ssrc:{first}", f"a=ssrc:{second}")
    with pytest.raises(SdpError, match="SSRC"):
        plan_publish(parse(text), LABELS)  # type: ignore[arg-type]


def test_what_is_not_media_or_not_known_is_rejected_and_the_rest_taken() -> None:
    text = offer().replace("opus/48000/2", "speex/16000")
    text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\n"
    plan = plan_publish(parse(text), LABELS)  # type: ignore[arg-type]
    answer = parse(write_answer(plan, LOCAL, "7", 1))
    assert [m.port for m in answer.media] == [0, 9, 0]
    assert sdp.values(answer.attributes, "group") == ["BUNDLE 1"]
    assert set(plan.incoming) == {"1"}
    # The first line that is left carries the candidates.
    assert sdp.values(answer.media[1].attributes, "candidate")


def test_stopped_lines_stay_stopped_and_silent_ones_inactive() -> None:
    text = offer().replace("m=audio 9", "m=audio 0").replace("a=sendonly", "a=recvonly")
    plan = plan_publish(parse(text), {})
    answer = parse(write_answer(plan, LOCAL, "7", 1))
    assert [m.port for m in answer.media] == [0, 9]
    assert answer.media[1].direction == "inactive"
    assert plan.incoming == {}


def payload(name: str, number: int, **parameters: str) -> PayloadType:
    named = {key.replace("_", "-"): text for key, text in parameters.items()}
    return PayloadType(number, name, 90000, 1, named, frozenset({"nack", "nack pli"}))


@pytest.mark.parametrize(
    ("offered", "best"),
    [
        ([payload("VP8", 96), payload("AV1", 45), payload("VP9", 98)], 98),
        ([payload("VP8", 96), payload("VP9", 98, profile_id="2")], 96),
        ([payload("AV1", 45), payload("VP8", 96)], 96),
        ([payload("VP8", 96), payload("H264", 102, profile_level_id="42e01f", packetization_mode="1")], 102),
        (
            [
                payload("H264", 102, profile_level_id="42001f", packetization_mode="1"),
                payload("H264", 104, profile_level_id="42e01f", packetization_mode="1"),
            ],
            104,
        ),
        ([payload("H264", 102, profile_level_id="42e01f", packetization_mode="0"), payload("VP8", 96)], 96),
        ([payload("H264", 102, profile_level_id="640c1f", packetization_mode="1")], None),
        ([payload("H265", 102)], None),
    ],
)
def test_order_of_preference(offered: list[PayloadType], best: int | None) -> None:
    chosen = choose("video", offered)
    assert (chosen.payload_type if chosen else None) == best


def test_pictures_are_in_h264_where_that_is_wanted_and_can_be_had() -> None:
    offered = [payload("VP8", 96), payload("VP9", 98), payload("AV1", 45)]
    h264 = [
        payload("H264", 102, profile_level_id="42001f", packetization_mode="1"),
        payload("H264", 104, profile_level_id="42e01f", packetization_mode="1"),
    ]
    for there, wanted, best in ((offered + h264, "H264", 104), (offered, "H264", 98), (offered + h264, "VP9", 98)):
        chosen = choose("video", there, first=wanted)
        assert chosen is not None and chosen.payload_type == best


def test_parameters_that_we_do_not_know_are_not_passed_on() -> None:
    chosen = choose("video", [payload("VP9", 98, profile_id="0", x="y\r\na=evil")])
    assert chosen is not None
    assert chosen.codec.parameters == {"profile-id": "0"}


# --- subscribing ----------------------------------------------------------------------------------


def track(name: str, kind: str = "audio", codec: str = "OPUS") -> TrackInfo:
    made = Codec(codec, 48000, 2) if kind == "audio" else Codec(codec, 90000)
    return TrackInfo(name, "ana", kind, "microphone" if kind == "audio" else "camera", made)  # type: ignore[arg-type]


def subscription() -> Subscription:
    numbers = count(1000)
    return Subscription("9", lambda: next(numbers))


def answer_to(text: str, *, reject: tuple[int, ...] = ()) -> str:
    description = parse(text)
    for index, media in enumerate(description.media):
        media.attributes = [
            (n, {"setup": "active", "ice-ufrag": "peer"}.get(n, v) if n in ("setup", "ice-ufrag") else v)
            for n, v in media.attributes
            if n not in ("ssrc", "ssrc-group", "msid", "candidate", "end-of-candidates")
        ]
        media.attributes = [("recvonly", None) if n == "sendonly" else (n, v) for n, v in media.attributes]
        if index in reject:
            media.port = 0
    return sdp.serialise(description)


OFFERING = LocalTransport(LOCAL.ice, LOCAL.fingerprint, "actpass", LOCAL.addresses, LOCAL.port)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_recorded_answers_fit_the_offers_they_answer(browser: str) -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    subject.add(track("t2", "video", "VP9"), 0.0)
    subject.offer(1, OFFERING, 1.0)
    answered = subject.answer(1, recorded(f"{browser}-subscribe-answer"))
    assert answered is not None
    assert [(a.outgoing.track.id, a.rtx) for a in answered.accepted] == [("t1", False), ("t2", True)]
    assert answered.accepted[0].extensions.audio_level == 1
    assert answered.rejected == ()


def test_changes_within_a_moment_become_one_offer() -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    assert not subject.due(COALESCE / 2)
    subject.add(track("t2"), COALESCE / 2)
    assert subject.due(COALESCE)
    offer = subject.offer(1, OFFERING, COALESCE)
    assert len(parse(offer).media) == 2
    subject.add(track("t3"), 1.0)
    assert not subject.due(2.0)
    assert subject.answer(1, answer_to(offer)) is not None
    assert subject.due(2.0)


def test_unanswered_offer_is_made_again() -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    subject.offer(1, OFFERING, 1.0)
    assert not subject.due(1.0 + ANSWER_TIMEOUT - 0.1)
    assert subject.due(1.0 + ANSWER_TIMEOUT)
    again = subject.offer(2, OFFERING, 20.0)
    assert subject.answer(1, "stale") is None
    assert subject.answer(2, answer_to(again)) is not None


def test_freed_line_is_offered_inactive_once_before_the_next_track_takes_it() -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    first = subject.offer(1, OFFERING, 1.0)
    subject.answer(1, answer_to(first))
    subject.remove("t1", 2.0)
    subject.add(track("t2"), 2.0)
    second = subject.offer(2, OFFERING, 3.0)
    assert [m.direction for m in parse(second).media] == ["inactive", "sendonly"]
    subject.answer(2, answer_to(second))
    subject.add(track("t3"), 4.0)
    third = subject.offer(3, OFFERING, 5.0)
    assert [m.direction for m in parse(third).media] == ["sendonly", "sendonly"]
    assert subject.offered()[0][1].id == "t3"
    assert sdp.ssrcs(parse(third).media[0]) != sdp.ssrcs(parse(first).media[0])


def test_track_that_goes_while_its_offer_is_out_is_not_accepted() -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    offer = subject.offer(1, OFFERING, 1.0)
    subject.remove("t1", 1.5)
    answered = subject.answer(1, answer_to(offer))
    assert answered is not None
    assert answered.accepted == ()
    assert parse(subject.offer(2, OFFERING, 2.0)).media[0].direction == "inactive"


def test_refused_line_is_told_and_stays_dead() -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    subject.add(track("t2", "video", "AV1"), 0.0)
    offer = subject.offer(1, OFFERING, 1.0)
    answered = subject.answer(1, answer_to(offer, reject=(1,)))
    assert answered is not None
    assert answered.rejected == ("t2",)
    subject.add(track("t3", "video", "VP8"), 2.0)
    later = parse(subject.offer(2, OFFERING, 3.0))
    assert [m.port for m in later.media] == [9, 0, 9]
    assert sdp.values(later.attributes, "group") == ["BUNDLE 0 2"]
    assert subject.answer(2, answer_to(sdp.serialise(later))) is not None
    # Once its track has gone the line may carry another, under a new name.
    subject.remove("t2", 4.0)
    subject.add(track("t4"), 4.0)
    last = parse(subject.offer(3, OFFERING, 5.0))
    assert [(m.kind, m.mid, m.port) for m in last.media] == [("audio", "0", 9), ("audio", "3", 9), ("video", "2", 9)]


def test_lines_do_not_pile_up_for_a_subscriber_that_refuses_everything() -> None:
    subject = subscription()
    subject.add(track("voice"), 0.0)
    for revision in range(1, 50):
        subject.add(track(f"t{revision}", "video", "AV1"), float(revision))
        offer = subject.offer(revision, OFFERING, float(revision))
        assert len(parse(offer).media) == 2
        assert subject.answer(revision, answer_to(offer, reject=(1,))) is not None
        subject.remove(f"t{revision}", float(revision))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("a=setup:active", "a=setup:passive"), "a=setup must be active"),
        (("a=mid:0", "a=mid:5"), "does not match"),
        (("m=audio 9", "m=video 9"), "does not match"),
        (("m=audio 9", "m=audio 0"), "rejects every m-line"),
        (("AA:AA", "BB:BB"), "fingerprint changed"),
    ],
)
def test_wrong_answers_are_refused_and_a_right_one_still_taken(change: tuple[str, str], reason: str) -> None:
    subject = subscription()
    subject.add(track("t1"), 0.0)
    answer = answer_to(subject.offer(1, OFFERING, 1.0))
    pinned = (LOCAL.fingerprint,)
    with pytest.raises(SdpError, match=reason):
        subject.answer(1, answer.replace(*change), pinned)
    with pytest.raises(SdpError, match="m-lines"):
        subject.answer(1, answer.split("m=")[0], pinned)
    assert subject.answer(1, answer, pinned) is not None
