"""Nothing connects to the outside: not the server, not its workers, not the page."""

from __future__ import annotations

import ipaddress
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from sfu.addresses import candidate_addresses
from tests.e2e.person import new_person

ADDRESS = re.compile(r'sin_addr=inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def outside(trace: str) -> set[str]:
    """Addresses in a system call trace that are not this machine's own."""
    own = {ipaddress.ip_address(address) for address in candidate_addresses("::")}
    found = set()
    for four, six in ADDRESS.findall(trace):
        address = ipaddress.ip_address(four or six)
        if not (address.is_loopback or address.is_unspecified or address in own):
            found.add(str(address))
    return found


async def test_the_check_itself_sees_an_outside_address() -> None:
    line = 'connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("198.51.100.7")}, 16) = 0'
    assert outside(line) == {"198.51.100.7"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_server_and_page_talk_to_nobody_else(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    wrapper = (
        "strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--trace=connect,sendto,sendmsg,sendmmsg",
        "--string-limit=0", f"--output={trace}",
    )  # fmt: skip
    server = ServerProcess(tmp_path, "--demo", wrapper=wrapper)
    await server.start(timeout=120)
    try:
        asked: set[str] = set()

        def note(request: Request) -> None:
            asked.add(request.url)

        async with chromium() as browser:
            guest = await new_person(browser, server.url)
            assert isinstance(guest.page, Page)
            guest.page.on("request", note)
            await guest.join(server.links["guest"], "Guest", reads="pt")
            await guest.sees(1)
            await guest.until("return !!document.querySelector('[data-testid=\"caption-line\"]')", timeout=120)
        hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in ("data", "blob")}
        assert hosts == {f"127.0.0.1:{server.port}"}
    finally:
        await server.stop(timeout=60)
    seen = trace.read_text(errors="replace")
    assert "connect(" in seen or "sendto(" in seen, "the trace saw nothing at all"
    assert outside(seen) == set()
