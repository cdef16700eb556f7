"""`consilium doctor`: each finding against the real thing, and nothing asked of strangers."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import socket
import ssl
import time
from pathlib import Path

import msgspec
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from captioning import bus_redis as bus
from captioning.messages import Beat, Ready
from signaling import doctor, tls
from signaling import doctor_network as network
from signaling.cli import app
from signaling.doctor_redis import redis as redis_of
from signaling.settings import Settings
from tests.captioning.test_redis import PASSWORD, REDIS
from tests.captioning.test_redis import Server as RedisServer
from tests.coturn import COTURN, SECRET, coturn


def made(**values) -> Settings:
    return msgspec.convert({"media": {"host": "127.0.0.1", "port": 0}, **values}, Settings)


async def said(check, *arguments, **more) -> list[tuple[str, str]]:
    """(state, text and advice) of each line."""
    return [(line.state, f"{line.text} | {line.advice}") for line in await check(*arguments, **more)]


async def test_a_running_server_is_recognised_and_its_media_heard(house, open_house, tmp_path):
    port, media = house.server.port, house.server.sfu.port
    settings = made(port=port, media={"host": "127.0.0.1", "port": media})
    assert [line.state for line in await network.ports(settings)] == ["ok"] * 3
    lines = await network.media(settings)
    assert [(line.state, line.text.split(" from ")[0]) for line in lines] == [
        ("ok", "sound came back by UDP"),
        ("ok", "sound came back by TCP"),
    ]
    assert all(f"127.0.0.1:{media}" in line.text for line in lines)
    assert house.server.sfu.stats().rooms == 0


async def test_media_that_goes_nowhere_is_found(open_house, monkeypatch):
    monkeypatch.setattr(network, "ROUND_TRIP_WITHIN", 0.5)
    house = await open_house(media={"host": "127.0.0.1", "port": 0, "public_addresses": ["127.0.0.77"]})
    settings = made(port=house.server.port, media={"host": "127.0.0.1", "public_addresses": ["127.0.0.77"]})
    udp, tcp = await network.media(settings)
    assert (udp.state, tcp.state) == ("warn", "warn") and "UDP" in udp.text and "/check" in udp.advice


async def test_a_port_of_somebody_else_is_a_failure(monkeypatch):
    monkeypatch.setattr(network, "ANSWER_WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        pages, *_ = await network.ports(made(port=port))
    assert pages.state == "fail" and "in use" in pages.text and "set port" in pages.advice


@pytest.mark.parametrize(
    ("public", "url", "state", "words"),
    [
        (["127.0.0.1"], "", "ok", "this machine only"),
        (["127.0.0.1"], "https://meet.example.org", "warn", "this machine only"),
        (["10.1.2.3"], "https://meet.example.org", "warn", "same network"),
        (["10.1.2.3"], "https://meet.ward.local", "ok", "same network"),
        (["0.0.0.0"], "", "fail", "no browser can reach"),
        (["224.0.0.1"], "", "fail", "no browser can reach"),
        (["8.8.8.8"], "https://meet.example.org", "ok", "translated"),
    ],
)
async def test_public_addresses_are_judged_without_asking_anybody(monkeypatch, public, url, state, words):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    settings = made(media={"public_addresses": public}, public_url=url)
    ((found, text),) = await said(network.addresses, settings)
    assert found == state and words in text


async def test_the_name_is_resolved_only_when_asked():
    settings = made(media={"public_addresses": ["127.0.0.1"]}, public_url="http://localhost:8080")
    states = [line.state for line in await network.addresses(settings, resolve=True)]
    assert states == ["ok", "ok"]
    elsewhere = made(media={"public_addresses": ["10.0.0.1"]}, public_url="http://localhost:8080")
    (_, (state, text)) = await said(network.addresses, elsewhere, resolve=True)
    assert state == "warn" and "127.0.0.1" in text and "10.0.0.1" in text


def certificate(folder: Path, names: list[str], days: tuple[float, float]) -> dict[str, str]:
    """Files of a certificate that is valid from and until so many days from now."""
    tls.make(folder / "cert.pem", folder / "key.pem", names)
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    found = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(found.issuer, found.subject, key.public_key(), found.serial_number)
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
    )
    for extension in found.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    return {"mode": "files", "cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


@pytest.mark.parametrize(
    ("names", "days", "url", "states"),
    [
        (["meet.example.org"], (-1, 90), "https://meet.example.org", ["ok"]),
        (["*.example.org"], (-1, 90), "https://meet.example.org", ["ok"]),
        (["*.example.org"], (-1, 90), "https://a.meet.example.org", ["ok", "fail"]),
        (["other.example.org"], (-1, 90), "https://meet.example.org", ["ok", "fail"]),
        (["192.0.2.7"], (-1, 90), "https://192.0.2.7", ["ok"]),
        (["meet.example.org"], (-1, 5), "https://meet.example.org", ["warn"]),
        (["meet.example.org"], (-9, -1), "https://meet.example.org", ["fail"]),
        (["meet.example.org"], (1, 90), "https://meet.example.org", ["fail"]),
    ],
)
async def test_certificates(tmp_path, names, days, url, states):
    settings = made(tls=certificate(tmp_path, names, days), public_url=url)
    assert [line.state for line in await network.certificate(settings)] == states


async def test_a_key_of_another_certificate_is_found(tmp_path):
    files = certificate(tmp_path, ["a.example.org"], (-1, 90))
    tls.make(tmp_path / "other.pem", tmp_path / "key.pem", ["b.example.org"])
    ((state, _),) = await said(network.certificate, made(tls=files))
    assert state == "fail"


@pytest.mark.skipif(COTURN is None, reason="coturn is not installed")
async def test_turn_is_tried_with_a_real_allocation(tmp_path):
    async with coturn(tmp_path / "coturn") as relay:
        context = ssl.create_default_context(cafile=str(relay.cert))
        nobody = "turn:127.0.0.1:9?transport=tcp"
        turn = {"urls": [relay.udp, relay.tcp, relay.tls, nobody, "turn:"], "secret": SECRET}
        lines = await network.turn_servers(made(turn=turn), context)
        assert [line.state for line in lines] == ["ok", "ok", "ok", "fail", "fail"], lines
        wrong = await said(network.turn_servers, made(turn={"urls": [relay.udp], "secret": "x" * 32}))
        assert wrong[0][0] == "fail" and "401" in wrong[0][1] and "static-auth-secret" in wrong[0][1]
        weak = await said(network.turn_servers, made(turn={"urls": [relay.udp], "secret": "short"}))
        assert [state for state, _ in weak] == ["warn", "fail"]
        elsewhere = made(turn={"urls": [relay.udp], "secret": SECRET}, media={"public_addresses": ["203.0.113.99"]})
        ((state, text),) = await said(network.turn_servers, elsewhere)
        assert state == "fail" and "203.0.113.99" in text and "allowed-peer-ip" in text
        (untrusted,) = await network.turn_servers(made(turn={"urls": [relay.tls], "secret": SECRET}))
        assert untrusted.state == "fail" and "certificate" in untrusted.advice


@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")
async def test_redis_and_its_workers_are_found(tmp_path):
    def words(url: str) -> Settings:
        return made(captions={"redis_url": url})

    assert await redis_of(made()) == []
    server = RedisServer(tmp_path)
    ((state, text),) = await said(redis_of, words(server.url))
    assert state == "fail" and f":{server.port}" in text and PASSWORD not in text
    await server.start()
    try:
        ((state, text),) = await said(redis_of, words(f"redis://127.0.0.1:{server.port}/0"))
        assert state == "fail" and "uthenticat" in text
        (found, nobody) = await redis_of(words(server.url))
        assert (found.state, nobody.state) == ("ok", "fail") and "caption-worker" in nobody.advice
        client = redis.Redis.from_url(server.url)
        ready, beat = Ready(["en"], ["en"]), Beat(0.0, 0, 0, False, 0.0, 0.0, {})
        client.hset(bus.WORKERS, "dead", bus.encode(bus.Sign(7, ready, beat)))
        signing = asyncio.create_task(asyncio.to_thread(sign, client, ready, beat))
        (_, workers) = await redis_of(words(server.url))
        await signing
        assert workers.state == "ok" and workers.text == "1 listening: alive"
    finally:
        await server.kill()


def sign(client: redis.Redis, ready: Ready, beat: Beat) -> None:
    for number in range(40):
        client.hset(bus.WORKERS, "alive", bus.encode(bus.Sign(number, ready, beat)))
        time.sleep(0.1)


def test_threads_without_cores_or_without_the_native_plane_are_warned_of():
    def plane(**media):
        (line,) = doctor.plane(made(media=media))
        return line.state, line.text, line.advice

    assert plane(plane="python")[0] == "ok"
    assert plane(plane="python", threads=2)[0::2] == (
        "warn", "media.threads is for the native plane: install Rust and run make again."
    )  # fmt: skip
    pytest.importorskip("sfu.plane._native", reason="the native plane is not built")
    state, text, advice = plane(plane="native")
    assert (state, advice) == ("ok", "") and text.startswith(f"native, 1 thread on {len(os.sched_getaffinity(0))} core")
    state, text, advice = plane(plane="native", threads=64)
    assert state == "warn" and text.startswith("native, 64 threads") and "lower media.threads" in advice


def test_the_command_speaks_json_and_its_status_says_whether_all_is_well(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("CONSILIUM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    Path("consilium.toml").write_text(
        f'port = 0\ndata_dir = "{tmp_path}"\n[media]\nhost = "127.0.0.1"\nport = 0\n[captions]\nenabled = false\n'
    )
    result = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(result.output)
    assert result.exit_code == (0 if found["ok"] else 1)
    subjects = {line["subject"] for line in found["lines"]}
    assert {"settings", "pages", "media", "addresses", "turn", "plane", "captions", "data", "clock"} <= subjects
    assert any("consilium.toml" in line["text"] for line in found["lines"] if line["subject"] == "settings")
    monkeypatch.setenv("CONSILIUM_MEDIA_PUBLIC_ADDRESSES", "0.0.0.0")
    failed = CliRunner().invoke(app, ["doctor"])
    assert failed.exit_code == 1 and "fail  addresses" in failed.output
