"""What we ship for operators, run for real: Debian's nginx with our configuration in front of a server."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from signaling import protocol, tls

from .conftest import House
from .test_broadcast import Viewer, live

DEPLOY = Path(__file__).parent.parent.parent / "docs" / "deploy"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")

MAIN = """
daemon off; user {user}; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/consilium.conf;
}}
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def configuration(folder: Path, upstream: int, plain: int, secure: int) -> str:
    """The shipped file on loopback; every place that is changed must be there."""
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("server 127.0.0.1:8080;", f"server 127.0.0.1:{upstream};"),
        ("    listen 80;\n    listen [::]:80;\n", f"    listen 127.0.0.1:{plain};\n"),
        ("    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n", f"    listen 127.0.0.1:{secure} ssl http2;\n"),
        ("/etc/letsencrypt/live/meet.example.org/fullchain.pem", str(folder / "cert.pem")),
        ("/etc/letsencrypt/live/meet.example.org/privkey.pem", str(folder / "key.pem")),
        ("server_name meet.example.org;", "server_name localhost;"),
        ("/var/cache/nginx/consilium-live", str(folder / "live")),
        ("/var/cache/nginx/consilium-pass", str(folder / "pass")),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def nginx(folder: Path, upstream: int, plain: int, secure: int) -> AsyncIterator[None]:
    assert NGINX is not None
    folder.mkdir()
    folder.chmod(0o755)
    tls.make(folder / "cert.pem", folder / "key.pem", ["localhost"])
    (folder / "consilium.conf").write_text(configuration(folder, upstream, plain, secure))
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=getpass.getuser()))
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", secure)
                    writer.close()
                    break
                except OSError:
                    assert process.returncode is None and process.stderr is not None, await process.communicate()
                    await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
async def test_a_meeting_and_its_replay_go_through_nginx(open_house, tmp_path):
    plain, secure = free_ports(2)
    url = f"https://localhost:{secure}"
    behind = await open_house(public_url=url, trusted_proxies=["127.0.0.1"])
    connector = aiohttp.TCPConnector(ssl=False)
    async with (
        nginx(tmp_path / "nginx", behind.server.port, plain, secure),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as http,
    ):
        house = House(behind.server, http)
        house.url = url

        async with http.get(f"http://localhost:{plain}/j/x?y=1", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, "https://localhost/j/x?y=1")
        async with http.get(f"{url}/api/config") as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] and answer.headers["Content-Security-Policy"]
            # The room-making right of people on this machine must not reach everybody through the proxy on it.
            assert (await answer.json())["mayCreateRooms"] is False
        async with http.get(f"{url}/metrics") as answer:
            assert answer.status == 404
        async with http.get(f"{url}/healthz", headers={"Host": "evil.example.org"}) as answer:
            assert answer.status == 200
        async with http.get(f"{url}/api/config", headers={"Host": "evil.example.org"}) as answer:
            assert answer.status == 421

        host, ana = await house.join("host", "Host"), await house.join(name="Ana")
        assert (await ana.ask(protocol.SendChat(key="1", text="through the proxy")))["type"] == "ack"
        assert (await host.wait("chatted"))["entry"]["text"] == "through the proxy"

        check = await (await http.post(f"{url}/api/check", json={})).json()
        async with http.post(f"{url}/api/check/{check['check']}/upload", data=b"x" * (4 << 20)) as answer:
            assert answer.status == 200 and (await answer.json())["bytes"] == 4 << 20

        assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
        assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
        done = await ana.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
        path, _, code = done["room"]["recording"]["replay"].partition("#k=")
        api = f"{url}/api/recordings/{path.rsplit('/', 1)[1]}"
        async with http.post(f"{api}/access", json={"code": code}) as answer:
            cookie = answer.cookies["consilium_replay"]
            assert cookie["secure"], "the proxy's X-Forwarded-Proto is believed"
        headers = {"Cookie": f"consilium_replay={cookie.value}"}
        async with http.get(api, headers=headers) as answer:
            media = f"{api}/media/{(await answer.json())['master']}"
        async with http.get(media, headers=headers | {"Range": "bytes=1-6"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"EXTM3U")
            assert answer.headers["Content-Range"].startswith("bytes 1-6/")
        async with http.get(media, headers={"Range": "bytes=1-6"}) as answer:
            assert answer.status == 404


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
async def test_a_broadcast_is_fetched_once_for_all_who_may_see_it(open_house, tmp_path):
    plain, secure = free_ports(2)
    url = f"https://localhost:{secure}"
    behind = await open_house(public_url=url, trusted_proxies=["127.0.0.1"])
    connector = aiohttp.TCPConnector(ssl=False, limit=0)
    async with (
        nginx(tmp_path / "nginx", behind.server.port, plain, secure),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as http,
    ):
        house = House(behind.server, http)
        house.url = url
        host = await house.join("host", "Host")
        viewer, state = await live(house, host)

        async def get(name: str, who: Viewer = viewer) -> tuple[int, str, bytes]:
            status, body, headers = await who.get(f"/hls/{name}")
            assert "X-Accel-Expires" not in headers
            return status, headers.get("X-Cache", ""), body

        status, _, text = await get("video.m3u8")
        assert status == 200
        ahead = f"video.m3u8?_HLS_msn={text.count(b'#EXTINF') + 1}&_HLS_part=0"
        found = await asyncio.gather(*(get(ahead) for _ in range(30)))
        assert {status for status, _, _ in found} == {200} and len({body for _, _, body in found}) == 1
        assert sorted({cached for _, cached, _ in found}) == ["HIT", "MISS"]
        assert [cached for _, cached, _ in found].count("MISS") == 1
        assert (await get("v0.m4s"))[1] == "MISS" and (await get("v0.m4s"))[1] == "HIT"

        # What lies in the cache is not for strangers, nor for those whose link was replaced.
        stranger = Viewer(house, state["id"])
        assert (await get("v0.m4s", stranger))[0] == 403
        async with http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
            assert (await events.content.readline()).startswith(b"retry")
        assert (await host.ask(protocol.PlanBroadcast(title="x", renew=True)))["type"] == "ack"
        async with asyncio.timeout(10):
            while (await get("v0.m4s"))[0] != 403:  # noqa: ASYNC110
                await asyncio.sleep(0.2)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_units_are_such_that_systemd_understands(tmp_path):
    files = []
    for name in ("consilium.service", "consilium-captions@.service"):
        unit = (DEPLOY / name).read_text()
        assert "/opt/consilium/bin/consilium" in unit
        files.append(tmp_path / name.replace("@", "@1"))
        files[-1].write_text(unit.replace("/opt/consilium/bin/consilium", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "consilium" not in result.stderr, result.stderr
