"""The native plane's SRTP against libsrtp, both ways, over whatever the network does to sequence numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.plane import SrtpKeys
from sfu.rtcp import Pli
from sfu.rtp import RtpPacket
from sfu.srtp import KEY_LENGTHS, MAX_SSRCS, PROFILES, Srtp, SrtpError

native = pytest.importorskip("sfu.plane._native", reason="the native plane is not built")


def keys(profile):
    size = KEY_LENGTHS[profile]
    return bytes(range(size)), bytes(range(100, 100 + size))


def both(profile):
    """libsrtp and ours with the same keys, and libsrtp and ours at the far end."""
    rx, tx = keys(profile)
    near = Srtp(SrtpKeys(profile, rx, tx)), native.Srtp(profile, rx, tx)
    far = Srtp(SrtpKeys(profile, tx, rx)), native.Srtp(profile, tx, rx)
    return near, far


def packet(sequence, ssrc=1, payload=b"payload", extension=b"", padding=0):
    made = RtpPacket(96, sequence & 0xFFFF, sequence & 0xFFFFFFFF, ssrc, payload=payload, padding=padding)
    if extension:
        made.extension_profile, made.extension = 0xBEDE, extension
    return made.serialize()


def outcome(call, data):
    """The bytes, or why there are none."""
    try:
        return call(data)
    except SrtpError as error:
        return error.reason
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("profile", PROFILES)
def test_both_seal_the_same_bytes_and_open_each_others(profile):
    (theirs, ours), (far_theirs, far_ours) = both(profile)
    plains = [
        packet(1),
        packet(2, extension=b"\x10\x33\0\0"),
        packet(3, payload=b""),
        packet(4, padding=4),
        packet(5, 9),
    ]
    for plain in plains:
        sealed = theirs.seal_rtp(plain)
        assert ours.seal_rtp(plain) == sealed
        assert far_ours.open_rtp(sealed) == far_theirs.open_rtp(sealed) == plain
    for _ in range(3):
        pli = Pli(1, 2).serialize()
        sealed = theirs.seal_rtcp(pli)
        assert ours.seal_rtcp(pli) == sealed
        assert far_ours.open_rtcp(sealed) == far_theirs.open_rtcp(sealed) == pli


steps = st.lists(
    st.one_of(
        st.integers(1, 3),  # the next packets
        st.integers(4, 3000),  # a gap
        st.integers(30000, 40000),  # a leap over half the range
        st.integers(-2200, 0),  # late, or again
    ),
    max_size=60,
)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=60, deadline=None)
@given(first=st.sampled_from([0, 1, 100, 32767, 32768, 65000, 65535]), steps=steps)
def test_roll_over_reordering_and_replay_are_judged_alike(profile, first, steps):
    """Sender and receiver, with the same packets refused, over several wraps and across them."""
    (theirs, ours), (far_theirs, far_ours) = both(profile)
    number, sealed = first, []
    for step in steps:
        number = max(0, number + step)
        plain = packet(number)
        made = outcome(theirs.seal_rtp, plain)
        assert outcome(ours.seal_rtp, plain) == made
        if isinstance(made, bytes):
            sealed.append(made)
    late = sealed[1::2]
    for datagram in sealed[::2] + late + late[:3]:
        opened = outcome(far_theirs.open_rtp, datagram)
        assert outcome(far_ours.open_rtp, datagram) == opened


@pytest.mark.parametrize("profile", PROFILES)
def test_two_whole_wraps_and_a_replay_after_them(profile):
    (theirs, _), (_, far_ours) = both(profile)
    for n in range(65000, 65000 + 2 * 65536, 61):
        plain = packet(n)
        last = theirs.seal_rtp(plain)
        assert far_ours.open_rtp(last) == plain
    with pytest.raises(ValueError, match="replay"):
        far_ours.open_rtp(last)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=40), st.binary(max_size=40))
def test_rtcp_replays_are_judged_alike_and_changed_bytes_refused(profile, order, noise):
    (theirs, _), (far_theirs, far_ours) = both(profile)
    sealed = [theirs.seal_rtcp(Pli(1, n).serialize()) for n in range(401)]
    for n in order:
        opened = outcome(far_theirs.open_rtcp, sealed[n])
        assert outcome(far_ours.open_rtcp, sealed[n]) == opened
    changed = bytearray(sealed[400])
    for at, value in enumerate(noise):
        changed[(at * 7) % len(changed)] ^= value
    assert outcome(far_ours.open_rtcp, bytes(changed)) == outcome(far_theirs.open_rtcp, bytes(changed))


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=12, max_size=80), st.integers(0, 200))
def test_garbage_is_refused_alike(profile, garbage, cut):
    (theirs, _), (far_theirs, far_ours) = both(profile)
    for data in (garbage, theirs.seal_rtp(packet(7, payload=bytes(90)))[: max(12, cut)]):
        assert outcome(far_ours.open_rtp, data) == outcome(far_theirs.open_rtp, data)
        assert outcome(far_ours.open_rtcp, data) == outcome(far_theirs.open_rtcp, data)


def test_a_peer_opens_a_bounded_number_of_streams_and_forgeries_do_not_count():
    (theirs, _), (_, ours) = both("AEAD_AES_128_GCM")
    for ssrc in range(2 * MAX_SSRCS):
        with pytest.raises(ValueError, match="decrypt"):
            ours.open_rtp(packet(1, ssrc=10_000 + ssrc, payload=bytes(40)))
    for ssrc in range(MAX_SSRCS):
        ours.open_rtp(theirs.seal_rtp(packet(1, ssrc=ssrc)))
    with pytest.raises(ValueError, match="ssrc_limit"):
        ours.open_rtp(theirs.seal_rtp(packet(1, ssrc=MAX_SSRCS)))
    ours.open_rtp(theirs.seal_rtp(packet(2, ssrc=0)))


def test_keys_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="length"):
        native.Srtp("AEAD_AES_128_GCM", bytes(30), bytes(28))
