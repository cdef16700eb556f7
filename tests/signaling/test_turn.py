"""Time-limited TURN credentials against Debian's coturn with the configuration that we ship."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest

from signaling.relay import RelayError, Target, allocate, parse
from signaling.settings import Turn
from signaling.turn import credentials, ice_servers
from tests.coturn import COTURN, SECRET, Coturn, coturn

TURN = Turn(urls=["turn:turn.example.org", "turns:turn.example.org:443"], secret="s3cret", ttl=600)


def test_credentials_are_those_of_the_rest_draft():
    (server,) = ice_servers(TURN, "p1", now=1_000_000.9)
    assert server.urls == TURN.urls and server.username == "1000600:p1"
    expected = hmac.new(b"s3cret", b"1000600:p1", hashlib.sha1).digest()
    assert server.credential == base64.b64encode(expected).decode()
    assert ice_servers(TURN, "p1", now=0, lifetime=30)[0].username == "30:p1"
    assert ice_servers(Turn(), "p1") == []


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("turn:turn.example.org", Target("turn.example.org", 3478, "udp", False)),
        ("turn:192.0.2.1:3479?transport=tcp", Target("192.0.2.1", 3479, "tcp", False)),
        ("turns:turn.example.org", Target("turn.example.org", 5349, "tcp", True)),
        ("turn:[2001:db8::1]:3478?transport=udp", Target("2001:db8::1", 3478, "udp", False)),
    ],
)
def test_turn_urls(url, target):
    assert parse(url) == target


@pytest.mark.parametrize(
    "url", ["stun:x", "turn:", "turn:a b", "turn:x:0", "turn:x:99999", "turn:x?transport=sctp", "turns:x?transport=udp"]
)
def test_what_is_no_turn_url_is_said(url):
    with pytest.raises(RelayError) as refused:
        parse(url)
    assert refused.value.failure == "url"


@pytest.fixture(scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Coturn]:
    if COTURN is None:
        pytest.skip("coturn is not installed")
    async with coturn(tmp_path_factory.mktemp("coturn")) as running:
        yield running


def valid(lifetime: int = 60) -> tuple[str, str]:
    return credentials(SECRET, int(time.time()) + lifetime, "p1")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
async def test_a_valid_credential_gets_an_allocation(relay: Coturn, way: str):
    context = ssl.create_default_context(cafile=str(relay.cert))
    found = await allocate(getattr(relay, way), *valid(), peer=("127.0.0.1", 9), context=context)
    assert found.relayed[0] == "127.0.0.1" and 49160 <= found.relayed[1] <= 49999 and found.took < 5


@pytest.mark.asyncio(loop_scope="module")
async def test_expired_and_forged_credentials_are_refused(relay: Coturn):
    username, password = valid()
    forged = [
        valid(-10),
        credentials("another-secret", int(time.time()) + 60, "p1"),
        (username.replace("p1", "p2"), password),
        (str(int(username.partition(":")[0]) + 3600) + ":p1", password),
        (username, ""),
        ("p1", password),
    ]
    outcomes = await asyncio.gather(*(allocate(relay.udp, *pair) for pair in forged), return_exceptions=True)
    assert [getattr(one, "failure", one) for one in outcomes] == ["credentials"] * len(forged), outcomes


@pytest.mark.asyncio(loop_scope="module")
async def test_the_relay_sends_to_our_media_address_only(relay: Coturn):
    for peer in ("127.0.0.2", "10.0.0.1", "192.0.2.99", "169.254.169.254"):
        with pytest.raises(RelayError) as refused:
            await allocate(relay.udp, *valid(), peer=(peer, 9))
        assert (refused.value.failure, str(refused.value)) == ("peer", "code 403"), peer


@pytest.mark.asyncio(loop_scope="module")
async def test_an_unknown_certificate_and_a_closed_port_are_told_apart(relay: Coturn):
    with pytest.raises(RelayError) as untrusted:
        await allocate(relay.tls, *valid())
    assert untrusted.value.failure == "certificate"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RelayError) as closed:
        await allocate(f"turn:127.0.0.1:{port}?transport=tcp", *valid())
    assert closed.value.failure == "unreachable"
