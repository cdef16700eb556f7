"""The command: help a person can use, tokens, the doctor, and the whole process from start to SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

import signaling as package
from signaling.cli import app
from signaling.grants import Grants, load_secret

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("CONSILIUM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSILIUM_DATA_DIR", str(tmp_path / "data"))


def test_the_version_is_the_packages():
    said = runner.invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"consilium {package.__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "demo",
        "models",
        "models list",
        "models pull",
        "models verify",
        "doctor",
        "token",
        "export",
        "caption-worker",
    ],
)
def test_help(command):
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0 and "Usage" in result.output and len(result.output.splitlines()) > 6


def test_a_token_opens_its_room_only(tmp_path):
    result = runner.invoke(app, ["token", "ward", "--role", "moderator", "--name", "Ada", "--ttl", "60"])
    assert result.exit_code == 0
    grants = Grants(load_secret(tmp_path / "data", ""))
    grant = grants.check(result.output.strip(), "ward", time.time())
    assert (grant.role, grant.name) == ("moderator", "Ada")


def test_bad_settings_stop_every_command(monkeypatch):
    monkeypatch.setenv("CONSILIUM_PORT", "99999")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2 and "CONSILIUM_PORT" in result.output and "65535" in result.output


def test_the_doctor_finds_a_port_that_is_taken(monkeypatch):
    monkeypatch.setenv("CONSILIUM_CAPTIONS_ENABLED", "false")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("CONSILIUM_PORT", str(taken.getsockname()[1]))
        result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert any(line.startswith("fail  pages") for line in result.output.splitlines())
    assert any(line.startswith("ok    clock") for line in result.output.splitlines())


def test_an_export_of_nothing_says_so():
    result = runner.invoke(app, ["export", "nothing"])
    assert result.exit_code == 1 and "no finished recording" in result.output


async def test_the_process_serves_and_stops(tmp_path):
    links = tmp_path / "links.json"
    environment = os.environ | {
        "CONSILIUM_PORT": "0",
        "CONSILIUM_MEDIA_HOST": "127.0.0.1",
        "CONSILIUM_MEDIA_PORT": "0",
        "CONSILIUM_CAPTIONS_ENABLED": "false",
        "PYTHONPATH": str(Path(package.__file__).parent.parent),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling", "serve", "--json-links", str(links),
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(40):
            printed = ""
            while "administrator" not in printed:
                line = (await process.stdout.readline()).decode()
                assert line, (await process.stderr.read()).decode()
                printed += line
            printed += (await process.stdout.readline()).decode()
            while not links.exists():  # noqa: ASYNC110  (written right after printing, by another process)
                await asyncio.sleep(0.02)
        found = json.loads(links.read_text())
        assert set(found) == {"url", "host", "guest", "viewer", "setup"}
        assert all(url in printed for url in found.values())
        assert links.stat().st_mode & 0o777 == 0o600
        async with aiohttp.ClientSession() as http, http.get(found["url"] + "/healthz") as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, errors.decode()
