"""Bad input: its sender gets a clear error, nobody else notices."""

from __future__ import annotations

import base64
import json
import time
from itertools import pairwise

import aiohttp
import jwt
import pytest

from signaling import protocol
from signaling.grants import AUDIENCE, GrantRefused, Grants
from signaling.outbox import Outbox
from signaling.rights import NEEDED, OF_ROLE, ROLES, may_give
from signaling.verbs import VERBS

SECRET = "x" * 40
NOW = 1_800_000_000.0


def forged(**changes) -> str:
    claims = {
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 600,
        "jti": "j",
        "room": "demo",
        "role": "participant",
        "permissions": ["chat"],
    }
    claims |= changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, SECRET, algorithm="HS256")


def unsigned(algorithm: str) -> str:
    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {
        "aud": AUDIENCE,
        "iat": NOW,
        "exp": NOW + 600,
        "room": "demo",
        "role": "host",
        "permissions": [],
        "jti": "j",
    }
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (forged(exp=int(NOW) - 1), "expired"),
        (forged(iat=int(NOW) + 3600, exp=int(NOW) + 7200), "not-yet"),
        (forged(room="other"), "wrong-room"),
        (forged(aud="consilium-replay"), "wrong-audience"),
        (forged(aud=None), "malformed"),
        (forged(exp=None), "malformed"),
        (forged(exp="never"), "malformed"),
        (forged(role="emperor"), "malformed"),
        (forged(permissions="all"), "malformed"),
        (forged(jti=None), "malformed"),
        (jwt.encode({"aud": AUDIENCE, "exp": NOW + 9}, "y" * 40, algorithm="HS256"), "wrong-signature"),
        (jwt.encode({"aud": AUDIENCE, "exp": NOW + 9, "iat": NOW}, SECRET + "y" * 40, algorithm="HS512"), "malformed"),
        (unsigned("none"), "malformed"),
        (unsigned("HS256"), "wrong-signature"),
        ("", "malformed"),
        ("a.b.c", "malformed"),
        ("\x00" * 100, "malformed"),
    ],
)
def test_a_bad_grant_is_refused_for_its_own_reason(token, reason):
    with pytest.raises(GrantRefused) as refused:
        Grants(SECRET).check(token, "demo", NOW)
    assert refused.value.reason == reason


def test_permissions_in_a_grant_never_exceed_its_role():
    token = forged(role="viewer", permissions=["manage", "moderate", "caption"])
    assert Grants(SECRET).check(token, "demo", NOW).permissions == {"caption"}


def test_nobody_gives_what_they_do_not_hold():
    assert [(a, b) for a in ROLES for b in ROLES if may_give(a, b)] == [("host", role) for role in ROLES]


async def test_every_bad_grant_looks_the_same_to_its_bearer_and_is_counted_by_reason(house):
    good = house.server.services.grants
    tokens = {
        "expired": good.mint("demo", "host", time.time() - 3600),
        "wrong-room": good.mint("other", "host", time.time()),
        "wrong-signature": Grants(SECRET).mint("demo", "host", time.time()),
        "malformed": "nonsense",
    }
    seen = set()
    for token in tokens.values():
        closed = await (await house.hello(grant=token)).ended()
        seen.add((closed["reason"], closed["message"], closed["retry"]))
    assert len(seen) == 1 and next(iter(seen))[0] == "grant"
    text = house.server.metrics.text().decode()
    for reason in tokens:
        assert f'consilium_grants_refused_total{{reason="{reason}"}} 1.0' in text
    assert "demo" not in house.server.hub.rooms


async def test_another_version_is_refused(house):
    browser = await house.socket()
    await browser.send(protocol.Hello(version=999, grant=await house.grant(), name="x"))
    assert (await browser.ended())["reason"] == "protocol"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("null", "malformed"),
        ("[]", "malformed"),
        ('{"type": "ping"}', "malformed"),
        ('{"type": "ping", "sent": "now"}', "malformed"),
        ('{"type": "launch-missiles"}', "unknown-type"),
        ('{"type": "welcome"}', "unknown-type"),
        ('{"type": "raise-hand", "raised": 1}', "malformed"),
        ('{"type": "send-chat", "key": "", "text": "x"}', "malformed"),
        ('{"type": "send-chat", "key": "k", "text": "' + "x" * 4001 + '"}', "malformed"),
        ("[" * 20_000, "malformed"),
        ('{"type": "send-chat", "key": "k", "text": "' + "x" * 300_000 + '"}', "too-large"),
    ],
)
async def test_a_message_that_cannot_be_read_is_answered(house, data, code):
    ana, ben = await house.join(name="Ana"), await house.join(name="Ben")
    await ana.socket.send_str(data)
    assert (await ana.wait("error"))["code"] == code
    assert (await ana.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"
    assert (await ben.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"
    assert all(m["type"] != "error" for m in ben.seen)


async def test_an_unreadable_request_is_answered_by_its_id(house):
    ana = await house.join()
    await ana.socket.send_str('{"type": "raise-hand", "raised": "yes", "id": 7}')
    assert (await ana.wait("error"))["id"] == 7


async def test_binary_frames_and_unknown_fields(house):
    ana = await house.join()
    await ana.socket.send_bytes(b"\x00\xff")
    assert (await ana.wait("error"))["code"] == "malformed"
    await ana.socket.send_str('{"type": "raise-hand", "raised": true, "id": 1, "role": "host", "participant": "p1"}')
    assert (await ana.wait("ack"))["id"] == 1


async def test_a_huge_frame_ends_the_socket_before_it_is_read(house):
    ana = await house.join()
    await ana.socket.send_str("x" * 2_000_000)
    while await ana.read() is not None:
        pass
    assert ana.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_flood_is_slowed_then_ended_and_others_go_on(open_house):
    house = await open_house(limits={"message_rate": 1.0, "message_burst": 10})
    ana, ben = await house.join(name="Ana"), await house.join(name="Ben")
    for _ in range(200):
        await ana.socket.send_str('{"type": "ping", "sent": 1}')
    assert (await ana.ended())["reason"] == "protocol"
    assert [m["code"] for m in ana.seen if m["type"] == "error"][:1] == ["too-fast"]
    assert (await ben.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[bad"])
async def test_a_page_of_another_site_gets_no_socket(house, origin):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await house.socket(Origin=origin)
    assert refused.value.status == 403
    async with house.http.post(f"{house.url}/api/rooms", json={"name": "x"}, headers={"Origin": origin}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "origin")


async def test_a_name_that_is_not_ours_is_refused(house):
    for host, status in (("evil.example", 421), ("localhost:1", 200), ("127.0.0.1", 200), ("a b", 421), ("", 421)):
        async with house.http.get(f"{house.url}/api/config", headers={"Host": host}) as answer:
            assert answer.status in ((status,) if host else (400, 421))


async def test_too_many_sockets_of_one_address(open_house):
    house = await open_house(limits={"sockets_per_address": 2})
    sockets = [await house.socket(), await house.socket()]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await house.socket()
    assert refused.value.status == 429
    assert all(not s.socket.closed for s in sockets)


async def test_who_does_not_read_is_ended_and_bounded():
    box = Outbox(messages=10, size=1000)
    for _ in range(100):
        box.put(b"x" * 50, key="speakers")
    assert len(box) == 1 and not box.overflowed
    for number in range(11):
        box.put(b"%d" % number)
    assert box.overflowed and len(box) == 0
    assert await box.get() is None


async def test_newer_news_takes_the_place_of_older():
    box = Outbox()
    box.put(b"a1", key="a")
    box.put(b"b")
    box.put(b"a2", key="a")
    box.close()
    assert [await box.get(), await box.get(), await box.get()] == [b"a2", b"b", None]


MATRIX = {
    protocol.SetLanguages(spoken="en", reads="pt"): {"host", "moderator", "participant", "viewer"},
    protocol.SendChat(key="k", text="x"): {"host", "moderator", "participant"},
    protocol.RaiseHand(raised=True): {"host", "moderator", "participant"},
    protocol.MuteParticipant(participant="{other}", kind="audio"): {"host", "moderator"},
    protocol.LowerHand(participant="{other}"): {"host", "moderator"},
    protocol.RemoveParticipant(participant="{other}"): {"host", "moderator"},
    protocol.Admit(): {"host", "moderator"},
    protocol.Deny(participant="{waiting}"): {"host", "moderator"},
    protocol.SetLobby(enabled=True): {"host", "moderator"},
    protocol.StartRecording(): {"host", "moderator"},
    protocol.StopRecording(): {"host", "moderator"},
    protocol.Consent(agreed=False): {"host", "moderator", "participant", "viewer"},
    protocol.PlanBroadcast(title="x"): {"host", "moderator"},
    protocol.GoLive(countdown=60): {"host", "moderator"},
    protocol.SubscribeRestart(): {"host", "moderator", "participant", "viewer"},
    protocol.MediaReport(freezes=0, frozen_ms=0, concealed=0, loss=0, jitter_ms=0): {
        "host",
        "moderator",
        "participant",
        "viewer",
    },
    protocol.Ping(sent=1): {"host", "moderator", "participant", "viewer"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("message", MATRIX, ids=lambda m: type(m).__name__)
async def test_verb_by_role(house, role, message):
    grants = house.server.services.grants
    me = await house.join(name="Me", grant=grants.mint("demo", role, time.time()))
    room = house.server.hub.rooms["demo"]
    if isinstance(message, protocol.StopRecording | protocol.Consent):
        await room.recording.start(next(iter(room.people.values())), "")
    if isinstance(message, protocol.Deny):
        room.lobby_on = True
        waiting = await house.hello(name="Waiting")
        message = protocol.Deny(participant=(await waiting.wait("waiting"))["participant"])
    elif hasattr(message, "participant") and message.participant:
        other = await house.join(name="Other", grant=grants.mint("demo", "viewer", time.time()))
        message = type(message)(
            **{f: getattr(message, f) for f in message.__struct_fields__} | {"participant": other.id}
        )
    answer = await me.ask(message)
    allowed = role in next(roles for verb, roles in MATRIX.items() if type(verb) is type(message))
    assert (answer["type"] == "ack") is allowed, answer
    if not allowed:
        assert answer["code"] == "not-allowed"


def test_every_verb_is_in_the_tables():
    own = {protocol.Hello, protocol.Ping, protocol.Leave}
    requests = set(protocol.ClientMessage.__args__)
    assert set(VERBS) == requests - own
    assert set(NEEDED) == requests - {protocol.Hello}
    assert all(OF_ROLE[high] >= OF_ROLE[low] for high, low in pairwise(ROLES))
