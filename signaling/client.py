"""A headless participant: speaks the WebSocket protocol, knows the room's people, sends and receives by `MediaClient`.

The demo guests are made of it; tests and load generators can be too. One `Participant` is one stay; to come back after
a lost socket, make another and give `enter` the `resume` secret of the last Welcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from sfu.client import ClientTrack, MediaClient
from sfu.interface import SdpError
from signaling import protocol

ANSWER_WITHIN = 10.0
MAX_MESSAGE = 4 * 1024 * 1024
HEARTBEAT = 10.0


class Refused(Exception):
    """The server said no, and would again. `code` is its word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link is good for. `base` is the server's URL without a slash at the end."""

    base: str
    room: str
    grant: str


class _Granted(msgspec.Struct):
    room: str
    grant: str


class _Refusal(msgspec.Struct):
    code: str = "unknown"
    message: str = "no reason was given"


def unverified(url: str) -> bool:
    """Whether TLS certificates need not be checked: only on this machine, where a self-made one is usual."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check(link: str) -> tuple[str, str]:
    """The server's URL and the code of a link like ``https://host/j/CODE``. Raises `ValueError` for anything else."""
    parts = urlsplit(link)
    before, joint, code = parts.path.rpartition("/j/")
    if parts.scheme not in ("http", "https") or not parts.hostname or not joint or not code or "/" in code:
        raise ValueError("not a room's link: it looks like https://meet.example.org/j/CODE")
    return f"{parts.scheme}://{parts.netloc}{before}", code


async def redeem(http: aiohttp.ClientSession, link: str) -> Invitation:
    """Turns a link into an invitation.

    Raises `ValueError` for something else than a link, `Refused` when the server does not accept it, and
    `ConnectionError`, `aiohttp.ClientError` or `TimeoutError` when it cannot be asked now.
    """
    base, code = check(link)
    async with http.post(
        f"{base}/api/links/{quote(code, safe='')}",
        json={},
        ssl=not unverified(base),
        timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN),
    ) as answer:
        body = await answer.content.read(MAX_MESSAGE)
        try:
            if answer.status == 200:
                granted = msgspec.json.decode(body, type=_Granted)
                return Invitation(base, granted.room, granted.grant)
            refused = msgspec.json.decode(body, type=_Refusal)
        except msgspec.DecodeError:
            refused = _Refusal("unreadable", f"the answer of {base} ({answer.status}) is not Consilium's")
    if answer.status == 429 or answer.status >= 500:
        raise ConnectionError(refused.message)
    raise Refused(refused.code, refused.message)


class Participant:
    """`enter`, then `stay` until it is over, then `leave`.

    `on_message` is called with every message of the server, after `people` and the rest have been brought up to date.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        media: MediaClient,
        name: str,
        *,
        spoken: str | None = None,
        reads: str | None = None,
        on_message: Callable[[protocol.ServerMessage], None] | None = None,
    ) -> None:
        self.media = media
        self.name = name
        self.welcome: protocol.Welcome | None = None
        self.people: dict[str, protocol.Person] = {}
        self.tracks: dict[str, str] = {}  # mid -> track id, of what we publish
        self.subscribed: dict[str, protocol.SubscribedTrack] = {}  # mid -> what it carries now
        self._http = http
        self._spoken, self._reads = spoken, reads
        self._on_message = on_message
        self._ended = asyncio.Event()
        self._closing: protocol.Closed | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._welcomed: asyncio.Future[protocol.Welcome] = asyncio.get_running_loop().create_future()
        self._requests: dict[int, asyncio.Future[None]] = {}
        self._answer: protocol.PublishAnswer | None = None
        self._number = 0
        self._reader: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """Our participant id; empty before the welcome."""
        return self.welcome.participant if self.welcome is not None else ""

    async def enter(
        self, invitation: Invitation, tracks: Sequence[ClientTrack] = (), resume: str | None = None
    ) -> None:
        """Comes in, waiting in the lobby as long as it takes, and publishes the tracks.

        Raises `Refused` when there is no point in trying again, else `ConnectionError`, `aiohttp.ClientError` or
        `TimeoutError`.
        """
        base = invitation.base
        async with asyncio.timeout(ANSWER_WITHIN):
            self._socket = await self._http.ws_connect(
                f"ws{base.removeprefix('http')}/ws/{quote(invitation.room, safe='')}",
                ssl=not unverified(base),
                max_msg_size=MAX_MESSAGE,
                heartbeat=HEARTBEAT,
            )
        self._reader = asyncio.get_running_loop().create_task(self._read(self._socket))
        await self.send(
            protocol.Hello(
                version=protocol.VERSION,
                grant=invitation.grant,
                name=self.name,
                spoken=self._spoken,
                reads=self._reads,
                resume=resume,
            )
        )
        await self._welcomed
        if tracks:
            await self.publish(tracks)

    async def stay(self) -> None:
        """Until the socket ends. Raises `Refused` when we were sent away, `ConnectionError` when it was lost."""
        await self._ended.wait()
        raise self._reason()

    def _reason(self) -> Exception:
        closing = self._closing
        if closing is None:
            return ConnectionError("the socket was closed")
        return ConnectionError(closing.message) if closing.retry else Refused(closing.reason, closing.message)

    async def send(self, message: protocol.Request) -> None:
        """Sends and does not wait. Raises `ConnectionError` when the socket is gone."""
        if self._socket is None or self._ended.is_set():
            raise ConnectionError("the socket is closed")
        await self._socket.send_str(protocol.encoder.encode(message).decode())

    async def ask(self, message: protocol.Request) -> None:
        """Sends and waits until it is done. Raises `Refused`, `ConnectionError`, `TimeoutError`."""
        self._number += 1
        number = self._number
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests[number] = done
        try:
            await self.send(msgspec.structs.replace(message, id=number))
            async with asyncio.timeout(ANSWER_WITHIN):
                await done
        finally:
            del self._requests[number]

    async def publish(self, tracks: Sequence[ClientTrack | None]) -> None:
        """Offers these tracks, one m-line each in this order, and waits until media can flow."""
        await self._offer(self.media.offer(tracks))

    async def restart(self) -> None:
        """ICE restart of the publish connection, after the network changed."""
        await self._offer(self.media.restart())

    async def _offer(self, sdp: str) -> None:
        labels = [protocol.TrackLabel(mid=label.mid, source=label.source) for label in self.media.labels]
        self._answer = None
        await self.ask(protocol.PublishOffer(sdp=sdp, tracks=labels))
        answer = self._answer
        if answer is None:
            raise ConnectionError("the offer was acknowledged without an answer")
        self.tracks = dict(answer.tracks)
        await self.media.accept(answer.sdp)

    async def leave(self) -> None:
        """Says goodbye if that is still possible, and ends the socket and the media."""
        if self._socket is not None and not self._ended.is_set():
            with contextlib.suppress(ConnectionError, TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(1.0):
                    await self.send(protocol.Leave())
                    if self._reader is not None:
                        # The server ends the socket. If we did, with words of its unread, the goodbye might be lost.
                        await asyncio.wait([self._reader])
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        await self.media.close()

    async def vanish(self) -> None:
        """Ends socket and media without a goodbye: to the server the connection is lost, and may be taken up again."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        await self.media.vanish()

    # --- what the server says -------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                try:
                    message = protocol.server_decoder.decode(frame.data)
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    continue  # a newer server may say more than we know
                await self._take(message)
                if self._on_message is not None:
                    self._on_message(message)
        finally:
            self._ended.set()
            waiting: list[asyncio.Future[Any]] = [self._welcomed, *self._requests.values()]
            for future in waiting:
                if not future.done():
                    future.set_exception(self._reason())
                    future.exception()  # nobody may be waiting: that is no error of its own

    async def _take(self, message: protocol.ServerMessage) -> None:
        match message:
            case protocol.Welcome():
                self.welcome = message
                self.people = {person.id: person for person in message.people}
                if not self._welcomed.done():
                    self._welcomed.set_result(message)
            case protocol.Joined(person=person) | protocol.Changed(person=person):
                self.people[person.id] = person
            case protocol.Left(participant=participant):
                self.people.pop(participant, None)
            case protocol.PublishAnswer():
                self._answer = message
            case protocol.SubscribeOffer():
                await self._subscribe(message)
            case protocol.Ack(id=number):
                if (done := self._requests.get(number)) is not None and not done.done():
                    done.set_result(None)
            case protocol.Error(id=int(number)):
                if (done := self._requests.get(number)) is not None and not done.done():
                    passing = message.code in ("too-fast", "unavailable", "internal")
                    text = f"{message.message} ({message.code})"
                    done.set_exception(ConnectionError(text) if passing else Refused(message.code, message.message))
            case protocol.Closed():
                self._closing = message

    async def _subscribe(self, offer: protocol.SubscribeOffer) -> None:
        try:
            answer = await self.media.answer(offer.sdp, offer.rebuild)
        except SdpError:
            return  # the server offers again when it has something we can read
        self.subscribed = {track.mid: track for track in offer.tracks}
        await self.send(protocol.SubscribeAnswer(sdp=answer, revision=offer.revision))
