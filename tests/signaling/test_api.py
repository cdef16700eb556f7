"""The HTTP API: links, accounts, rooms, the document, headers, metrics."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import jsonschema
import pytest

from signaling import protocol
from signaling.app import ENDPOINTS, openapi
from signaling.endpoint import ApiError
from signaling.origin import Origins
from signaling.schema import drifted
from signaling.settings import Settings

ADMIN = {"email": "Ada@example.org", "name": "Ada", "password": "correct horse battery"}


async def post(house, path, body=None, **headers):
    async with house.http.post(f"{house.url}{path}", json=body if body is not None else {}, headers=headers) as answer:
        return answer.status, await answer.json(), answer.cookies


async def setup(house):
    """The first administrator; returns their cookie."""
    code = (await house.server.links()).setup.rsplit("/", 1)[1]
    status, _, cookies = await post(house, f"/api/setup/{code}", ADMIN)
    assert status == 201
    return {"Cookie": f"consilium_session={cookies['consilium_session'].value}"}


async def test_the_first_administrator_is_made_once(house):
    code = (await house.server.links()).setup.rsplit("/", 1)[1]
    assert (await post(house, "/api/setup/wrong", ADMIN))[0] == 404
    assert (await post(house, f"/api/setup/{code}", ADMIN | {"password": "short"}))[0] == 400
    status, me, cookies = await post(house, f"/api/setup/{code}", ADMIN)
    assert status == 201 and me["role"] == "admin"
    cookie = cookies["consilium_session"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and not cookie["secure"]
    assert (await post(house, f"/api/setup/{code}", ADMIN | {"email": "b@example.org"}))[0] == 404
    assert (await house.server.links()).setup is None


async def test_log_in_out_and_the_wrong_password(house):
    await setup(house)
    credentials = {"email": "ada@example.org", "password": ADMIN["password"]}
    assert (await post(house, "/api/login", credentials | {"password": "wrong"}))[1]["code"] == "credentials"
    assert (await post(house, "/api/login", credentials | {"email": "nobody@example.org"}))[1]["code"] == "credentials"
    _, me, cookies = await post(house, "/api/login", credentials)
    assert me["name"] == "Ada"
    headers = {"Cookie": f"consilium_session={cookies['consilium_session'].value}"}
    async with house.http.get(f"{house.url}/api/me", headers=headers) as answer:
        assert (await answer.json())["email"] == "ada@example.org"
    assert (await post(house, "/api/logout", **headers))[0] == 200
    async with house.http.get(f"{house.url}/api/me", headers=headers) as answer:
        assert answer.status == 401


async def test_guessing_passwords_is_slowed_down(house):
    await setup(house)
    codes = [(await post(house, "/api/login", {"email": "a@b.c", "password": "guess"}))[0] for _ in range(12)]
    assert codes[0] == 401 and codes[-1] == 429


async def test_making_rooms_as_the_settings_say(open_house):
    house = await open_house()
    status, made, _ = await post(house, "/api/rooms", {"name": "Ward \u202e 3"})
    assert status == 201 and made["name"] == "Ward 3"
    assert set(made["links"]) == {"host", "guest", "viewer"}
    code = made["links"]["viewer"].rsplit("/", 1)[1]
    _, granted, _ = await post(house, f"/api/links/{code}", {"name": "Vi"})
    assert (granted["room"], granted["role"], granted["permissions"]) == (made["room"], "viewer", ["ask", "caption"])
    assert (await post(house, "/api/rooms", {"name": "x"}, **{"X-Forwarded-For": "192.0.2.1"}))[0] == 401
    closed = await open_house(open_rooms="never", data_dir=str(house.server.settings.data) + "2")
    assert (await post(closed, "/api/rooms", {"name": "x"}))[0] == 401
    cookie = await setup(closed)
    status, made, _ = await post(closed, "/api/rooms", {"name": "x"}, **cookie)
    assert status == 201
    status, granted, _ = await post(closed, f"/api/rooms/{made['room']}/grants", {}, **cookie)
    assert status == 200 and granted["role"] == "host"
    async with closed.http.get(f"{closed.url}/api/rooms/{made['room']}", headers=cookie) as answer:
        assert (await answer.json())["people"] == 0


async def test_links_are_made_by_hosts_never_above_their_own_role(house):
    codes = await house.codes()
    status, made, _ = await post(
        house, "/api/rooms/demo/links", {"code": codes["host"], "role": "moderator", "days": 1}
    )
    assert status == 201
    moderator = made["url"].rsplit("/", 1)[1]
    assert (await post(house, f"/api/links/{moderator}"))[1]["role"] == "moderator"
    for code in (codes["guest"], codes["viewer"], moderator):
        assert (await post(house, "/api/rooms/demo/links", {"code": code, "role": "viewer"}))[0] == 403
    assert (await post(house, "/api/rooms/demo/links", {"code": "wrong", "role": "viewer"}))[0] == 404
    assert (await post(house, "/api/rooms/demo/links", {"role": "viewer"}))[0] == 404
    cookie = await setup(house)
    assert (await post(house, "/api/rooms/demo/links/revoke", {"code": moderator}, **cookie))[0] == 200
    assert (await post(house, f"/api/links/{moderator}"))[1]["code"] == "link"


async def test_recordings_of_others_are_nobodys_business(house):
    async with house.http.get(f"{house.url}/api/recordings") as answer:
        assert answer.status == 401
    cookie = await setup(house)
    host = await house.join("host", "Host")
    await host.ask(protocol.StartRecording())
    recording = house.server.hub.rooms["demo"].recording.state.recording
    path = f"{house.url}/api/recordings/{recording}"
    async with house.http.get(path, headers=cookie) as answer:
        assert answer.status == 409
    async with house.http.delete(path, headers=cookie) as answer:
        assert answer.status == 409
    await host.ask(protocol.StopRecording())
    async with house.http.get(f"{house.url}/api/recordings", headers=cookie) as answer:
        assert [(r["id"], r["state"]) for r in await answer.json()] == [(recording, "ready")]
    for method in ("get", "delete"):
        async with getattr(house.http, method)(path) as answer:
            assert answer.status in (401, 404)
    assert (await post(house, f"/api/recordings/{recording}/exports", {"format": "mkv"}))[0] == 404
    assert (await post(house, f"/api/recordings/{recording}/exports", {"format": "exe"}, **cookie))[0] == 400
    async with house.http.delete(path, headers=cookie) as answer:
        assert answer.status == 200
    async with house.http.get(path, headers=cookie) as answer:
        assert answer.status == 404
    assert not (house.server.settings.recordings_dir / recording).exists()


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"name": 3}', "application/json", 400),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "' + b"x" * 100_000 + b'"}', "application/json", 413),
        (b"[" * 50_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
    ],
)
async def test_a_body_that_cannot_be_read(house, data, kind, status):
    async with house.http.post(f"{house.url}/api/rooms", data=data, headers={"Content-Type": kind}) as answer:
        problem = await answer.json()
        assert answer.status == status and set(problem) == {"code", "message"}


async def test_every_answer_carries_the_security_headers(house):
    for path in ("/", "/j/x", "/api/config", "/nothing", "/healthz", "/assets/nothing.js", "/api/recordings/x"):
        async with house.http.get(f"{house.url}{path}") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "camera=(self)" in answer.headers["Permissions-Policy"]
            assert "aiohttp" not in answer.headers["Server"]


async def test_metrics_are_for_this_machine_or_the_token(open_house):
    house = await open_house(metrics={"token": "let-me-see"})
    await house.join()
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    async with house.http.get(f"{house.url}/metrics") as answer:
        text = await answer.text()
        assert answer.status == 200 and "consilium_people 1.0" in text and "consilium_rooms 1.0" in text
    async with house.http.get(f"{house.url}/metrics", headers=proxied) as answer:
        assert answer.status == 403
    async with house.http.get(f"{house.url}/metrics", headers=proxied | {"Authorization": "Bearer nope"}) as answer:
        assert answer.status == 403
    async with house.http.get(
        f"{house.url}/metrics", headers=proxied | {"Authorization": "Bearer let-me-see"}
    ) as answer:
        assert answer.status == 200


async def test_answers_keep_to_the_openapi_document(house):
    async with house.http.get(f"{house.url}/api/openapi.json") as answer:
        document = await answer.json()
    for path in ("/api/config", "/healthz", "/api/captions/status"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        async with house.http.get(f"{house.url}{path}") as answer:
            jsonschema.validate(await answer.json(), schema | {"components": document["components"]})
    answers = document["paths"]["/whip/{room}"]["post"]["responses"]
    async with house.http.post(
        f"{house.url}/whip/demo", data="v=0", headers={"Content-Type": "application/sdp"}
    ) as answer:
        schema = answers[str(answer.status)]["content"][answer.content_type]["schema"]
        jsonschema.validate(await answer.json(), schema | {"components": document["components"]})
        assert answer.status == 401 and answer.content_type == "application/problem+json"


def test_the_openapi_document_is_whole():
    document = json.loads(openapi())
    assert document["openapi"] == "3.1.0"
    assert {(e.method.lower(), e.path) for e in ENDPOINTS} == {
        (method, path) for path, operations in document["paths"].items() for method in operations
    }
    text = json.dumps(document)
    names = set(document["components"]["schemas"])
    for reference in [part.split('"')[0] for part in text.split("#/components/schemas/")[1:]]:
        assert reference in names
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    identifiers = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(identifiers) == len(set(identifiers))
    assert all(o["summary"] for operations in document["paths"].values() for o in operations.values())


def test_generated_files_have_not_drifted():
    assert drifted() == []


def test_only_a_trusted_proxy_is_believed():
    origins = Origins(Settings(trusted_proxies=["10.0.0.0/8"], public_url="https://meet.example.org"))
    forwarded = {"X-Forwarded-For": "198.51.100.9, 203.0.113.5, 10.0.0.2", "X-Forwarded-Proto": "https"}
    assert origins.address("10.0.0.1", forwarded) == "203.0.113.5"
    assert origins.address("192.0.2.1", forwarded) == "192.0.2.1"
    assert origins.is_secure("10.0.0.1", forwarded) and not origins.is_secure("192.0.2.1", forwarded)
    assert origins.known_host("meet.example.org") and not origins.known_host("meet.example.org.evil.example")
    assert origins.same_origin("https://meet.example.org", "10.0.0.3:8080")
    assert not origins.same_origin("https://evil.example", "meet.example.org")


def test_an_api_error_says_what_it_is():
    error = ApiError(404, "not-found", "there is none")
    assert (error.status, error.code, str(error)) == (404, "not-found", "there is none")


async def test_a_self_made_certificate_serves_https(open_house, tmp_path: Path):
    house = await open_house(tls={"mode": "self-signed"})
    key = house.server.settings.data / "tls" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (house.server.settings.data / "secret").stat().st_mode & 0o777 == 0o600
    assert house.server.url.startswith("https://")
    import ssl

    trust = ssl.create_default_context(cafile=str(key.with_name("cert.pem")))
    async with aiohttp.ClientSession() as http, http.get(f"{house.server.url}/healthz", ssl=trust) as answer:
        assert answer.status == 200
    code = (await house.codes())["guest"]
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{house.server.url}/api/links/{code}", json={}, ssl=trust) as answer,
    ):
        assert answer.cookies["consilium_visitor"]["secure"]
