"""The connection check in real browsers: every way, the ones that work and the ones that do not, coturn included."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import Firefox, chromium
from benchmarks.harness.server import ServerProcess
from tests.coturn import COTURN, SECRET, Coturn, coturn
from tests.e2e.person import Person, new_person
from tests.e2e.test_accessibility import violations

pytestmark = pytest.mark.skipif(COTURN is None, reason="coturn is not installed")

DONE = "return !!document.querySelector('[data-testid=\"check-sum\"]')"
STATES = """
return Object.fromEntries([...document.querySelectorAll('[data-testid^="check-path-"]')]
  .map((row) => [row.dataset.testid.slice(11), [row.dataset.state, row.innerText]]));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Coturn]:
    async with coturn(tmp_path_factory.mktemp("coturn")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path, relay: Coturn) -> AsyncIterator[ServerProcess]:
    urls = ",".join([relay.udp, relay.tcp])
    async with ServerProcess(folder, captions_enabled="false", turn_urls=urls, turn_secret=SECRET) as running:
        yield running


async def checked(person: Person) -> dict[str, list[str]]:
    await person.goto("/check")
    await person.click("check-start")
    await person.until(DONE)
    states = await person.run(STATES)
    assert isinstance(states, dict)
    return states


async def test_every_way_works_in_chromium_and_axe_agrees(server: ServerProcess) -> None:
    async with chromium() as browser:
        person = await new_person(browser, server.url)
        assert isinstance(person.page, Page)
        states = await checked(person)
        assert {name: state for name, (state, _) in states.items()} == dict.fromkeys(
            ["udp", "tcp", "relay-0", "relay-1"], "works"
        ), states
        address = f"127.0.0.1:{server.media_port}"
        assert address in states["udp"][1] and address in states["tcp"][1], states
        assert "Round trip" in states["relay-0"][1], states
        for figure in ("check-down", "check-up"):
            text = await person.run(
                "return document.querySelector(arguments[0]).innerText", f'[data-testid="{figure}"]'
            )
            assert "Mbit/s" in text, text
        text = await person.run("return document.querySelector('[data-testid=\"check-report\"]').value")
        assert address in text and "Works" in text and "turn:127.0.0.1" in text
        for scheme in ("light", "dark"):
            await person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await violations(person) == [], scheme


async def test_firefox_hears_itself_too(server: ServerProcess) -> None:
    firefox = Firefox()
    await firefox.start()
    try:
        states = await checked(Person(firefox, server.url))
        assert [states[name][0] for name in ("udp", "relay-0", "relay-1")] == ["works"] * 3, states
    finally:
        await firefox.stop()


@contextmanager
def silent() -> Iterator[int]:
    """A UDP port where nobody answers, as behind a firewall that drops."""
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


async def test_what_fails_is_named_with_its_reason(tmp_path: Path, relay: Coturn) -> None:
    """A media port that browsers are told wrongly, a relay with another secret, and one that is not there."""
    with silent() as nobody:
        urls = f"{relay.udp},turn:127.0.0.1:{nobody}"
        wrong = {"turn_urls": urls, "turn_secret": "not-the-relay's-secret", "media_public_addresses": "127.0.0.77"}
        async with ServerProcess(tmp_path, captions_enabled="false", **wrong) as server, chromium() as browser:
            person = await new_person(browser, server.url)
            states = await checked(person)
            assert [state for state, _ in states.values()] == ["failed"] * 4, states
            assert f"127.0.0.77:{server.media_port}" in states["udp"][1] and "blocks UDP" in states["udp"][1]
            assert f"127.0.0.77:{server.media_port}" in states["tcp"][1] and "blocks TCP" in states["tcp"][1]
            assert "code 401" in states["relay-0"][1] and relay.udp in states["relay-0"][1]
            assert f"turn:127.0.0.1:{nobody}" in states["relay-1"][1] and "could not be reached" in states["relay-1"][1]
            kind = await person.run("return document.querySelector('[data-testid=\"check-sum\"]').dataset.kind")
            assert kind == "danger"


async def test_people_meet_through_the_relay_alone(server: ServerProcess, relay: Coturn) -> None:
    force = """
    const Connection = window.RTCPeerConnection;
    window.__forced = [];
    window.RTCPeerConnection = class extends Connection {
      constructor(configuration) {
        super({...configuration, iceTransportPolicy: 'relay'});
        window.__forced.push(this);
      }
    };
    """
    used = """
    async () => Promise.all(window.__forced.filter((it) => it.connectionState === 'connected').map(async (one) => {
      const report = await one.getStats();
      const transport = [...report.values()].find((entry) => entry.type === 'transport');
      return report.get(report.get(transport.selectedCandidatePairId).localCandidateId).candidateType;
    }))
    """
    async with chromium() as browser:
        people = [await new_person(browser, server.url) for _ in range(2)]
        for person in people:
            assert isinstance(person.page, Page)
            await person.page.add_init_script(force)
        await people[0].join(server.links["host"], "Ana")
        await people[1].join(server.links["guest"], "Ben")
        await asyncio.gather(*(person.sees(1) for person in people))
        for person in people:
            assert isinstance(person.page, Page)
            assert await person.page.evaluate(used) == ["relay", "relay"]
