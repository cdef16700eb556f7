"""Caption workers by a real Redis: work shared, taken over from the dead, resumed when Redis comes back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from captioning import bus_redis as bus
from captioning.bus_redis_server import RedisTransport
from captioning.bus_redis_worker import RedisDuplex
from captioning.config import CaptionConfig
from captioning.glossary import Term
from captioning.messages import (
    Audio,
    Beat,
    Closed,
    CloseStream,
    Done,
    Drop,
    OpenStream,
    Packet,
    Ready,
    Retranslate,
    Retranslated,
    SetGlossary,
    SetLanguage,
    SetReaders,
    ToServer,
    ToWorker,
    Words,
)
from captioning.service import CaptionService
from captioning.supervisor import Supervisor

from .speech import CLIPS, Room, clip, eventually, missing, state

REDIS = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")
ROOT = Path(__file__).parent.parent.parent
PASSWORD = "pass-word"


class Server:
    """A Redis that keeps nothing over its death, with a password."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.folder = folder
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *more: str) -> None:
        assert REDIS is not None
        self._process = await asyncio.create_subprocess_exec(
            REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--requirepass", PASSWORD, "--dir", str(self.folder), "--daemonize", "no", *more,
            stdout=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(10):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def client(self) -> Any:
        return redis.Redis.from_url(self.url)


@asynccontextmanager
async def redis_server(folder: Path, *more: str) -> AsyncIterator[Server]:
    server = Server(folder)
    await server.start(*more)
    try:
        yield server
    finally:
        await server.kill()


# --- the transport alone: scripted workers, real Redis ---------------------------------------------


class Worker:
    """A worker without models: a thread that reads, beats, and keeps what it was told."""

    def __init__(self, url: str, name: str) -> None:
        self.duplex = RedisDuplex(url, name)
        self.heard: list[ToWorker] = []
        self._stopping = threading.Event()
        self.duplex.send(Ready(["en"], ["en", "pt"]))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        beat_at = 0.0
        while not self._stopping.is_set():
            messages = self.duplex.receive(0.02)
            if messages is None:
                return
            self.heard += messages
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + 0.1
                self.duplex.send(Beat(0.0, 0, 0, False, 0.0, 0.0, {"finals": 1}))

    def die(self) -> None:
        """Without a word."""
        self._stopping.set()
        self._thread.join()

    def leave(self) -> None:
        self.duplex.leaving.set()
        self._thread.join()

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    def packets(self) -> list[int]:
        return [packet.timestamp for audio in self.of(Audio) for packet in audio.packets]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with redis_server(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deaths are noticed sooner than in life."""
    monkeypatch.setattr(bus, "LEASE", 0.7)
    monkeypatch.setattr(bus, "ALIVE", 1.0)


class House:
    """A supervisor on the transport, as the server has it."""

    def __init__(self, url: str) -> None:
        self.said: list[ToServer] = []
        self.transport = RedisTransport(url)
        self.supervisor = Supervisor(self.transport, self.said.append, lambda: None)
        self.supervisor.start()

    async def until(self, true: Callable[[], object], seconds: float = 10) -> None:
        await eventually(lambda: bool(true()), seconds)

    async def ready(self) -> None:
        await self.until(lambda: self.supervisor.ready is not None)


@asynccontextmanager
async def house(url: str) -> AsyncIterator[House]:
    made = House(url)
    try:
        yield made
    finally:
        await made.supervisor.stop()


def packet(number: int) -> Packet:
    return Packet(number, number * 20.0, b"opus")


async def test_a_voice_goes_through_and_its_end_leaves_nothing(server: Server) -> None:
    worker = Worker(server.url, "one")
    async with house(server.url) as made:
        await made.ready()
        made.supervisor.set_readers("room", ["pt"])
        made.supervisor.open("voice", "room", "en")
        made.supervisor.packets("voice", [packet(1), packet(2)])
        await made.until(lambda: worker.packets() == [1, 2])
        (opened,) = worker.of(OpenStream)
        assert (opened.language, opened.utterance) == ("en", 0)
        assert any(readers.languages == ["pt"] and readers.room == opened.room for readers in worker.of(SetReaders))
        made.supervisor.set_language("voice", "pt")
        await made.until(lambda: worker.of(SetLanguage))
        worker.duplex.send(Words(opened.stream, 0, 0.0, 40.0, "en", "hello", "", True, 0.9))
        worker.duplex.send(Done(opened.stream, 1, 30.0))
        made.supervisor.close("voice")
        await made.until(lambda: worker.of(CloseStream))
        worker.duplex.send(Closed(opened.stream))
        await made.until(lambda: Closed("voice") in made.said)
        assert [m.stable for m in made.said if isinstance(m, Words)] == ["hello"]
        assert made.supervisor.load == 0
        client = server.client()
        assert client.xlen(bus.JOBS) == 0 and client.xpending(bus.JOBS, bus.GROUP)["pending"] == 0
        assert [key for key in client.scan_iter() if b":in:" in key or b":head:" in key] == []
    worker.die()


async def test_what_is_written_is_translated_by_one_worker_and_only_what_was_asked_is_believed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [Worker(server.url, name) for name in ("one", "two")]

    def asked() -> list[Retranslate]:
        return [text for worker in workers for text in worker.of(Retranslate)]

    async with house(server.url) as made:
        await made.ready()
        made.supervisor.set_glossary("room", [Term("metformin", "en", "drug", [], {"pt": "metformina"})])
        for number in range(6):
            made.supervisor.retranslate(Retranslate("room", f"text:{number}", 0, "en", "Take metformin.", ["pt"]))
        await made.until(lambda: len(asked()) == 6)
        assert sorted(text.segment for text in asked()) == [f"text:{number}" for number in range(6)], "each once"
        (known,) = {terms.room for worker in workers for terms in worker.of(SetGlossary)}
        assert known == asked()[0].room != "room", "with the terms of a room that the worker has no voice of"
        ours = workers[0].duplex
        ours.send(Retranslated(known, "text:3", 0, "pt", "Tome metformina.", "firefox", None))
        await made.until(lambda: [one for one in made.said if isinstance(one, Retranslated)])
        (said,) = [one for one in made.said if isinstance(one, Retranslated)]
        assert (said.room, said.segment, said.text) == ("room", "text:3", "Tome metformina.")
        for unasked in (("text:3", "de"), ("text:9", "pt")):
            ours.send(Retranslated(known, unasked[0], 0, unasked[1], "x", "firefox", None))
        ours.send(Retranslated("no-session/room", "text:3", 0, "pt", "x", "firefox", None))
        await made.until(lambda: made.transport.refused["not asked"] == 2)
        assert len([one for one in made.said if isinstance(one, Retranslated)]) == 1
        # Nobody reads any more what has waited for long.
        monkeypatch.setattr(bus, "STALE", -5)
        made.supervisor.retranslate(Retranslate("room", "text:old", 0, "en", "Take metformin.", ["pt"]))
        client = server.client()
        await made.until(lambda: client.xlen(bus.TEXTS) == 0)
        assert len(asked()) == 6
    for worker in workers:
        worker.die()


async def test_another_takes_over_from_the_dead_at_what_is_not_dealt_with(server: Server) -> None:
    first = Worker(server.url, "first")
    async with house(server.url) as made:
        await made.ready()
        made.supervisor.open("voice", "room", "en")
        for number in range(10):
            made.supervisor.packets("voice", [packet(number)])
            await asyncio.sleep(0.07)  # one entry each
        await made.until(lambda: first.packets() == list(range(10)))
        (opened,) = first.of(OpenStream)
        first.duplex.send(Done(opened.stream, 3, 100.0))
        key = bus.voice(bus.Job(made.transport._session, "voice"))
        await made.until(lambda: server.client().xlen(key) == 5)
        second = Worker(server.url, "second")
        first.die()
        await made.until(lambda: second.packets() == [5, 6, 7, 8, 9])
        (again,) = second.of(OpenStream)
        assert again.utterance == 3
        first.duplex.send(Words(opened.stream, 9, 0.0, 1.0, "en", "from the grave", "", True, None))
        second.duplex.send(Words(again.stream, 3, 0.0, 1.0, "en", "alive", "", True, None))
        await made.until(lambda: any(isinstance(m, Words) for m in made.said))
        assert [m.stable for m in made.said if isinstance(m, Words)] == ["alive"]
        assert made.transport.refused["not the owner"] == 1
        second.die()


async def test_a_worker_that_was_only_slow_learns_that_it_lost_the_voice(server: Server) -> None:
    slow = Worker(server.url, "slow")
    async with house(server.url) as made:
        await made.ready()
        made.supervisor.open("voice", "room", None)
        await made.until(lambda: slow.of(OpenStream))
        with slow.duplex._lock:  # it stands still, as a stopped process would
            other = Worker(server.url, "other")
            await made.until(lambda: other.of(OpenStream))
        await made.until(lambda: slow.of(Drop))
        assert slow.of(Drop)[0].stream == slow.of(OpenStream)[0].stream
        slow.die()
        other.die()


async def test_a_worker_that_leaves_hands_over_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "LEASE", 60.0)
    leaving, staying = Worker(server.url, "a"), Worker(server.url, "b")
    async with house(server.url) as made:
        await made.ready()
        made.supervisor.open("voice", "room", None)
        await made.until(lambda: leaving.of(OpenStream) or staying.of(OpenStream))
        if staying.of(OpenStream):
            leaving, staying = staying, leaving
        staying.duplex._takeover_at = 0.0
        leaving.leave()
        staying.duplex._takeover_at = 0.0
        await made.until(lambda: staying.of(OpenStream))
        staying.die()


async def test_audio_that_ends_worker_after_worker_is_left_out(server: Server) -> None:
    async with house(server.url) as made:
        workers = [Worker(server.url, "0")]
        await made.ready()
        made.supervisor.open("voice", "room", None)
        made.supervisor.packets("voice", [packet(1)])
        await made.until(lambda: workers[0].packets() == [1])
        for number in range(1, 4):
            workers.append(Worker(server.url, str(number)))
            workers[-2].die()
            await made.until(lambda: workers[-1].of(OpenStream))
        assert [worker.packets() for worker in workers] == [[1], [1], [1], []]
        workers[-1].die()


async def test_what_is_malformed_is_refused_and_nobody_else_notices(server: Server) -> None:
    worker = Worker(server.url, "one")
    async with house(server.url) as made:
        await made.ready()
        made.supervisor.open("voice", "room", None)
        await made.until(lambda: worker.of(OpenStream))
        client, session = server.client(), made.transport._session
        job = bus.Job(session, "voice")
        for fields in ({b"m": b"\xc1"}, {b"x": b"y"}, {b"m": b""}, {b"m": b"\x91" * 5000}):
            client.xadd(bus.JOBS, fields)
            client.xadd(bus.voice(job), fields)
            client.xadd(bus.words(session), fields)
        client.xadd(bus.voice(job), {b"m": bus.encode(OpenStream("voice", "elsewhere", None, 99))})
        client.xadd(bus.voice(job), {b"m": bus.encode(CloseStream("another"))})
        client.xadd(bus.words(session), {b"m": bus.encode(Ready([], []))})
        client.hset(bus.WORKERS, "broken", b"\xff\xff")
        made.supervisor.packets("voice", [packet(7)])
        await made.until(lambda: worker.packets() == [7])
        await made.until(lambda: worker.duplex.refused >= 8 and made.transport.refused["malformed"] >= 5)
        assert len(worker.of(OpenStream)) == 1 and not worker.of(CloseStream)
        await made.until(lambda: client.xlen(bus.JOBS) == 1 and not client.hexists(bus.WORKERS, "broken"))
        assert made.supervisor.ready is not None
    worker.die()


async def test_streams_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "ENTRIES_IN", 200)
    worker = Worker(server.url, "one")
    async with house(server.url) as made:
        await made.ready()
        worker.die()
        made.supervisor.open("voice", "room", None)
        for number in range(1000):
            made.transport.send(Audio("voice", [packet(number)]))
        key = bus.voice(bus.Job(made.transport._session, "voice"))
        await made.until(lambda: made.transport.backlog() == 0)
        assert 200 <= server.client().xlen(key) < 400
        assert 0 < server.client().ttl(bus.head(bus.Job(made.transport._session, "voice"))) <= bus.KEPT


async def test_without_a_worker_or_redis_the_problem_is_said_and_carries_no_password(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "PROBLEM_WITHIN", 0.2)
    async with house(server.url) as made:
        await made.until(lambda: "no caption worker" in (made.supervisor.problem or ""))
        assert PASSWORD not in str(made.supervisor.problem)
    async with house(server.url.replace(PASSWORD, "wrong")) as made:
        await made.until(lambda: made.supervisor.problem)
        assert "127.0.0.1" in str(made.supervisor.problem) and "wrong" not in str(made.supervisor.problem)
    await server.kill()
    async with house(server.url) as made:
        await made.until(lambda: made.supervisor.problem)
        assert PASSWORD not in str(made.supervisor.problem)


async def test_tls(tmp_path: Path) -> None:
    from signaling import tls

    tls.make(tmp_path / "cert.pem", tmp_path / "key.pem", ["127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = ("--tls-port", str(port), "--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-auth-clients", "no",
            "--tls-key-file", str(tmp_path / "key.pem"), "--tls-ca-cert-file", str(tmp_path / "cert.pem"))  # fmt: skip
    async with redis_server(tmp_path, *more):
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}/0"
        worker = Worker(f"{url}?ssl_ca_certs={tmp_path}/cert.pem", "one")
        async with house(f"{url}?ssl_ca_certs={tmp_path}/cert.pem") as made:
            await made.ready()
        async with house(url) as made:
            await made.until(lambda: "certificate" in (made.supervisor.problem or "").lower())
        worker.die()


# --- the whole, with real workers and real speech ---------------------------------------------------


async def start_worker(url: str, name: str, models: Path, folder: Path) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONSILIUM_")}
    environment |= {
        "CONSILIUM_MODELS": str(models),
        "CONSILIUM_CAPTIONS_REDIS_URL": url,
        "CONSILIUM_CAPTIONS_DEVICE": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    with (folder / f"{name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signaling", "caption-worker", "--name", name,
            env=environment, cwd=folder, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip


async def test_no_word_is_lost_when_a_worker_and_then_redis_die(model_folder: Path, tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server:
        workers = [await start_worker(server.url, name, model_folder, tmp_path) for name in ("a", "b")]
        service = CaptionService(replace(CaptionConfig(models=model_folder), redis_url=server.url))
        await service.start()
        try:
            await state(service, "ready")
            assert service.worker_pids() == []
            room = Room(service)
            room.room.set_spoken("p", "en")
            room.room.set_readers(frozenset({"pt"}))
            room.open("p", "t")
            packets = clip("en-round.opus")
            half = len(packets) // 2
            room.send("t", packets[:half])

            client, owner = server.client(), ""
            async with asyncio.timeout(10):
                while not owner:
                    held = client.xpending_range(bus.JOBS, bus.GROUP, "-", "+", 1)
                    owner = held[0]["consumer"].decode().partition(":")[0] if held else ""
                    await asyncio.sleep(0.02)
            workers[("a", "b").index(owner)].send_signal(signal.SIGKILL)
            room.send("t", packets[half:])
            await room.until(lambda: len(missing(CLIPS["en-round.opus"], room.text("en"))) <= 2, 60)
            await room.until(lambda: bool(room.finals("pt")))
            # What is written, and what is written anew, by the worker that is left.
            written: list[Retranslated] = []
            room.room.on_text = lambda key, said: (written.append(said), room.news.set())[1]
            room.room.translate("k", "en", "Take five tablets.", "pt")
            await room.until(lambda: bool(written) and "cinco" in written[0].text)
            final = room.finals("en")[-1]
            room.room.correct(final.segment, final.revision, "Every nurse should bring the morphine.", "host")
            await room.until(lambda: any("morfina" in caption.stable for caption in room.finals("pt")))

            await server.kill()
            await eventually(lambda: service.status().state != "ready", 10)
            room.send("t", clip("en-dose.opus"))
            await server.start()
            await room.until(lambda: "morphine" in room.text("en").lower(), 60)
            await room.room.close()
            segments = [caption.segment for caption in room.finals("en") if caption.corrected_by is None]
            assert len(segments) == len(set(segments))
        finally:
            await service.stop()
            for worker in workers:
                if worker.returncode is None:
                    worker.send_signal(signal.SIGTERM)
            codes = [await asyncio.wait_for(worker.wait(), 10) for worker in workers]
        assert sorted(codes) == [-9, 0], [(tmp_path / f"{name}.log").read_text()[-2000:] for name in ("a", "b")]
