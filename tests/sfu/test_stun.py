"""STUN against aioice's implementation, and against bytes that are not STUN."""

from __future__ import annotations

import contextlib
import os

import pytest
from aioice import stun as foreign
from hypothesis import given
from hypothesis import strategies as st

from sfu import stun
from sfu.stun import Attribute, Class

TRANSACTION = bytes(range(12))
PASSWORD = b"a password of enough length"


def request(**extra: bytes) -> bytes:
    attributes = [(int(Attribute.USERNAME), b"abcd:efgh"), (int(Attribute.PRIORITY), b"\1\2\3\4")]
    attributes += [(int(Attribute[name]), value) for name, value in extra.items()]
    return stun.build(Class.REQUEST, TRANSACTION, attributes, PASSWORD)


def read(data: bytes) -> foreign.Message:
    message = foreign.parse_message(data)
    assert message.check_message_integrity(PASSWORD)
    return message


def test_foreign_parser_reads_our_request() -> None:
    message = read(request(USE_CANDIDATE=b"", ICE_CONTROLLING=bytes(8)))
    assert message.message_method == foreign.Method.BINDING
    assert message.message_class == foreign.Class.REQUEST
    assert message.attributes["USERNAME"] == "abcd:efgh"
    assert message.attributes["PRIORITY"] == 0x01020304
    assert "USE-CANDIDATE" in message.attributes


@pytest.mark.parametrize("address", [("192.0.2.7", 4711), ("2001:db8::7", 65535)])
def test_foreign_parser_reads_our_mapped_address(address: tuple[str, int]) -> None:
    value = stun.xor_address(address, TRANSACTION)
    data = stun.build(Class.SUCCESS, TRANSACTION, [(Attribute.XOR_MAPPED_ADDRESS, value)], PASSWORD)
    assert read(data).attributes["XOR-MAPPED-ADDRESS"] == address
    assert stun.parse(data).mapped_address == address


def test_mapped_ipv4_is_told_as_ipv4() -> None:
    assert stun.xor_address(("::ffff:192.0.2.7", 9), TRANSACTION) == stun.xor_address(("192.0.2.7", 9), TRANSACTION)


def test_foreign_parser_reads_our_error() -> None:
    value = stun.error_value(487, "Role Conflict")
    data = stun.build(Class.ERROR, TRANSACTION, [(Attribute.ERROR_CODE, value)])
    assert foreign.parse_message(data).attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert stun.parse(data).error_code == 487


def test_we_read_a_foreign_request() -> None:
    message = foreign.Message(foreign.Method.BINDING, foreign.Class.REQUEST)
    message.attributes["USERNAME"] = "ufrag:theirs"
    message.attributes["PRIORITY"] = 7
    message.attributes["ICE-CONTROLLING"] = 123
    message.add_message_integrity(PASSWORD)
    parsed = stun.parse(bytes(message))
    assert parsed.kind is Class.REQUEST
    assert parsed.method == stun.BINDING
    assert parsed.username == "ufrag:theirs"
    assert parsed.transaction == message.transaction_id
    assert parsed.authentic(PASSWORD)
    assert not parsed.authentic(b"another password")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter"),
        (bytes(19), "shorter"),
        (b"\x40" + request()[1:], "first two bits"),
        (request()[:4] + bytes(4) + request()[8:], "cookie"),
        (request() + bytes(4), "length"),
        (request()[:-4], "length"),
        (request()[:2] + b"\xff\xfc" + request()[4:], "length"),
        (request()[:-1] + b"\x00", "fingerprint"),
        (request()[:20] + b"\x00\x06\xff\xff" + request()[24:], "past the end"),
        (stun.build(Class.REQUEST, TRANSACTION, [(Attribute.PRIORITY, b"12345678")]), "wrong length"),
        (stun.build(Class.REQUEST, TRANSACTION, [(0x8022, b"")] * 60), "too many"),
    ],
)
def test_malformed_messages_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(stun.StunError, match=reason):
        stun.parse(data)


def test_every_changed_byte_is_noticed() -> None:
    good = request()
    for index in range(len(good) - 8):  # the fingerprint at the end only tells protocols apart
        bad = good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :]
        try:
            assert not stun.parse(bad).authentic(PASSWORD)
        except stun.StunError:
            continue


def test_attributes_after_the_integrity_do_not_count() -> None:
    message = foreign.Message(foreign.Method.BINDING, foreign.Class.REQUEST)
    message.attributes["USERNAME"] = "ufrag:theirs"
    message.add_message_integrity(PASSWORD)
    signed = bytes(message)[:-8]
    smuggled = signed + b"\x00\x25\x00\x00"
    data = smuggled[:2] + (len(smuggled) - 20).to_bytes(2, "big") + smuggled[4:]
    parsed = stun.parse(data)
    assert parsed.authentic(PASSWORD)
    assert parsed.get(Attribute.USE_CANDIDATE) is None


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise(data: bytes) -> None:
    with contextlib.suppress(stun.StunError):
        stun.parse(data)


@given(st.binary(max_size=120), st.integers(0, 3))
def test_any_body_after_a_right_header_parses_or_raises(body: bytes, first: int) -> None:
    body = body[: len(body) // 4 * 4]
    data = bytes([first, 1]) + len(body).to_bytes(2, "big") + stun.MAGIC_BYTES + os.urandom(12) + body
    try:
        message = stun.parse(data)
    except stun.StunError:
        return
    assert message.mapped_address is None or isinstance(message.mapped_address, tuple)
    assert message.error_code is None or message.error_code >= 0
    assert message.username is None or isinstance(message.username, str)


@given(st.lists(st.tuples(st.sampled_from([0x0006, 0x8022, 0x1234]), st.binary(max_size=40)), max_size=8))
def test_built_messages_parse_back(attributes: list[tuple[int, bytes]]) -> None:
    parsed = stun.parse(stun.build(Class.INDICATION, TRANSACTION, attributes, PASSWORD))
    assert list(parsed.attributes)[: len(attributes)] == attributes
    assert parsed.authentic(PASSWORD)
