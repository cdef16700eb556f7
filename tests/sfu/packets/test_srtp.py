"""SRTP against sessions made as aiortc makes them."""

from __future__ import annotations

import secrets

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from pylibsrtp import Policy, Session

from sfu.plane import SrtpKeys
from sfu.rtcp import Pli
from sfu.rtp import RtpPacket
from sfu.srtp import KEY_LENGTHS, MAX_PLAIN_RTCP, MAX_PLAIN_RTP, MAX_SSRCS, PROFILES, Srtp, SrtpError


def pair(profile):
    size = KEY_LENGTHS[profile]
    rx, tx = secrets.token_bytes(size), secrets.token_bytes(size)
    out = Policy(key=rx, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILES[profile])
    out.allow_repeat_tx, out.window_size = True, 1024
    into = Policy(key=tx, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[profile])
    into.window_size = 1024
    return Srtp(SrtpKeys(profile, rx, tx)), Session(out), Session(into)


def packet(sequence, ssrc=1, payload=b"payload"):
    return RtpPacket(96, sequence & 0xFFFF, sequence, ssrc, payload=payload).serialize()


def test_profiles_are_those_that_aiortc_negotiates():
    theirs = {
        profile.openssl_profile.decode().removeprefix("SRTP_"): (
            profile.libsrtp_profile,
            profile.key_length + profile.salt_length,
        )
        for profile in SRTP_PROFILES
    }
    theirs["AES_CM_128_HMAC_SHA1_80"] = theirs.pop("AES128_CM_SHA1_80")
    assert theirs == {name: (PROFILES[name], KEY_LENGTHS[name]) for name in PROFILES}


@pytest.mark.parametrize("profile", PROFILES)
def test_both_directions_of_rtp_and_rtcp(profile):
    ours, tx, rx = pair(profile)
    plain = packet(1)
    assert ours.open_rtp(tx.protect(plain)) == plain
    assert rx.unprotect(ours.seal_rtp(plain)) == plain
    pli = Pli(1, 2).serialize()
    assert ours.open_rtcp(tx.protect_rtcp(pli)) == pli
    assert rx.unprotect_rtcp(ours.seal_rtcp(pli)) == pli


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("change", [0, 3, 20, -1])
def test_a_changed_byte_is_refused(profile, change):
    ours, tx, _ = pair(profile)
    data = bytearray(tx.protect(packet(1, payload=bytes(50))))
    data[change] ^= 0x01
    with pytest.raises(SrtpError) as error:
        ours.open_rtp(bytes(data))
    assert error.value.reason == "decrypt"


def test_replays_are_refused_and_late_packets_taken():
    ours, tx, _ = pair("AEAD_AES_128_GCM")
    sealed = [tx.protect(packet(n)) for n in range(1, 1000)]
    ours.open_rtp(sealed[0])
    ours.open_rtp(sealed[-1])
    for datagram in reversed(sealed[1:-1]):
        ours.open_rtp(datagram)
    with pytest.raises(SrtpError) as error:
        ours.open_rtp(sealed[500])
    assert error.value.reason == "replay"


def test_the_roll_over_counter_follows_sequence_numbers_round():
    ours, tx, rx = pair("AEAD_AES_128_GCM")
    for n in range(65000, 65000 + 2 * 65536, 400):
        plain = packet(n)
        assert ours.open_rtp(tx.protect(plain)) == plain
        assert rx.unprotect(ours.seal_rtp(plain)) == plain


def test_the_same_number_is_never_sealed_twice():
    ours, _, _ = pair("AEAD_AES_128_GCM")
    ours.seal_rtp(packet(5))
    with pytest.raises(SrtpError) as error:
        ours.seal_rtp(packet(5, payload=b"another"))
    assert error.value.reason == "encrypt"


def test_packets_that_do_not_fit_the_buffer_are_refused_here():
    ours, _, rx = pair("AEAD_AES_256_GCM")
    head = packet(1, payload=b"")
    assert rx.unprotect(ours.seal_rtp(head + bytes(MAX_PLAIN_RTP - 12)))
    for attempt in (
        lambda: ours.seal_rtp(head + bytes(MAX_PLAIN_RTP - 11)),
        lambda: ours.seal_rtcp(bytes(MAX_PLAIN_RTCP + 1)),
        lambda: ours.open_rtp(bytes(1501)),
        lambda: ours.open_rtcp(bytes(1501)),
    ):
        with pytest.raises(SrtpError) as error:
            attempt()
        assert error.value.reason == "oversize"


def test_a_peer_opens_a_bounded_number_of_streams_and_forgeries_do_not_count():
    ours, tx, _ = pair("AEAD_AES_128_GCM")
    for ssrc in range(2 * MAX_SSRCS):
        with pytest.raises(SrtpError):
            ours.open_rtp(packet(1, ssrc=10_000 + ssrc, payload=bytes(40)))
    for ssrc in range(MAX_SSRCS):
        ours.open_rtp(tx.protect(packet(1, ssrc=ssrc)))
    with pytest.raises(SrtpError) as error:
        ours.open_rtp(tx.protect(packet(1, ssrc=MAX_SSRCS)))
    assert error.value.reason == "ssrc_limit"
    ours.open_rtp(tx.protect(packet(2, ssrc=0)))


def test_keys_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="28 bytes"):
        Srtp(SrtpKeys("AEAD_AES_128_GCM", bytes(30), bytes(28)))
