"""A headless participant: speaks the WebSocket protocol, keeps the room's people, publishes and receives with `MediaClient`.

The demo guests are made of it; tests and load generators can be too. One `RoomClient` is one socket; to come back after
a lost one, make another with the `resume` secret and, when the server still knows it, the same `MediaClient`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from sfu.client import ClientTrack, MediaClient
from sfu.interface import SdpError
from signaling import protocol

ANSWER_WITHIN = 10.0
MAX_MESSAGE = 4 * 1024 * 1024
HEARTBEAT = 10.0


class ClientError(Exception):
    """The server said no. `code` is its word for why, `retry` whether it makes sense to try again."""

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link is good for. `base` is the server's URL without a slash at the end."""

    base: str
    room: str
    grant: str


class _Granted(msgspec.Struct):
    room: str
    grant: str


class _Refused(msgspec.Struct):
    code: str = "unknown"
    message: str = "no reason was given"


def unverified(url: str) -> bool:
    """Whether TLS certificates need not be checked: only on this machine, where a self-made one is usual."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def redeem(http: aiohttp.ClientSession, link: str) -> Invitation:
    """Turns a link like ``https://host/j/CODE`` into an invitation.

    Raises `ValueError` for something else than a link, `ClientError` when the server refuses it, `aiohttp.ClientError`
    and `TimeoutError` when it cannot be asked.
    """
    parts = urlsplit(link)
    before, joint, code = parts.path.rpartition("/j/")
    if parts.scheme not in ("http", "https") or not parts.hostname or not joint or not code or "/" in code:
        raise ValueError("not a room's link: it looks like https://meet.example.org/j/CODE")
    base = f"{parts.scheme}://{parts.netloc}{before}"
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
            refused = msgspec.json.decode(body, type=_Refused)
        except msgspec.DecodeError:
            refused = _Refused("unreadable", f"the answer of {base} ({answer.status}) is not Consilium's")
        raise ClientError(refused.code, refused.message, retry=answer.status == 429 or answer.status >= 500)


class RoomClient:
    """One participant on one socket. Use `join`, then `publish`; `ended` is set when it is over, `closing` says why.

    `on_message` is called with every message of the server, after `people` and the rest have been brought up to date.
    With `receive` false, subscribe offers stay unanswered and no media comes.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        invitation: Invitation,
        media: MediaClient,
        *,
        receive: bool = True,
        on_message: Callable[[protocol.ServerMessage], None] | None = None,
    ) -> None:
        self.invitation = invitation
        self.media = media
        self.me = ""
        self.resume = ""
        self.people: dict[str, protocol.Person] = {}
        self.published: dict[str, str] = {}  # mid -> track id
        self.subscribed: dict[str, protocol.SubscribedTrack] = {}  # mid -> what it carries now
        self.muted: set[str] = set()  # own tracks that a moderator muted
        self.ended = asyncio.Event()
        self.closing: protocol.Closed | None = None
        self._http = http
        self._receive = receive
        self._on_message = on_message
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._welcomed: asyncio.Future[protocol.Welcome] = asyncio.get_running_loop().create_future()
        self._requests: dict[int, asyncio.Future[None]] = {}
        self._answer: protocol.PublishAnswer | None = None
        self._number = 0
        self._reader: asyncio.Task[None] | None = None

    async def join(
        self, name: str, *, spoken: str | None = None, reads: str | None = None, resume: str | None = None
    ) -> protocol.Welcome:
        """Comes in; waits in the lobby as long as it takes. Raises `ClientError`, `aiohttp.ClientError`, `TimeoutError`."""
        base = self.invitation.base
        async with asyncio.timeout(ANSWER_WITHIN):
            self._socket = await self._http.ws_connect(
                f"ws{base.removeprefix('http')}/ws/{quote(self.invitation.room, safe='')}",
                ssl=not unverified(base),
                max_msg_size=MAX_MESSAGE,
                heartbeat=HEARTBEAT,
            )
        self._reader = asyncio.get_running_loop().create_task(self._read(self._socket))
        grant = self.invitation.grant
        await self.send(
            protocol.Hello(version=protocol.VERSION, grant=grant, name=name, spoken=spoken, reads=reads, resume=resume)
        )
        return await self._welcomed

    async def send(self, message: protocol.Request) -> None:
        """Sends and does not wait. Raises `ConnectionError` when the socket is gone."""
        if self._socket is None or self.ended.is_set():
            raise ConnectionError("the socket is closed")
        await self._socket.send_str(protocol.encoder.encode(message).decode())

    async def ask(self, message: protocol.Request) -> None:
        """Sends and waits until it is done. Raises `ClientError`, `ConnectionError`, `TimeoutError`."""
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
            raise ClientError("bad-state", "the offer was acknowledged without an answer", retry=True)
        self.published = dict(answer.tracks)
        await self.media.accept(answer.sdp)

    async def close(self, *, leave: bool = True) -> None:
        """Ends the socket, with a goodbye unless somebody means to resume. The `MediaClient` stays as it is."""
        if leave and self._socket is not None and not self._socket.closed and not self.ended.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await self.send(protocol.Leave())
            except (ConnectionError, TimeoutError, aiohttp.ClientError):
                pass
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    # --- what the server says -------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                try:
                    message = protocol.server_decoder.decode(frame.data)
                except msgspec.DecodeError:
                    continue  # a newer server may say more than we know
                await self._take(message)
                if self._on_message is not None:
                    self._on_message(message)
        finally:
            self.ended.set()
            reason: Exception = ConnectionError("the socket was closed")
            if self.closing is not None:
                reason = ClientError(self.closing.reason, self.closing.message, retry=self.closing.retry)
            for future in [self._welcomed, *self._requests.values()]:
                if not future.done():
                    future.set_exception(reason)
                    future.exception()  # nobody may be waiting: that is no error of its own

    async def _take(self, message: protocol.ServerMessage) -> None:
        match message:
            case protocol.Welcome():
                self.me, self.resume = message.participant, message.resume
                self.people = {person.id: person for person in message.people}
                if not self._welcomed.done():
                    self._welcomed.set_result(message)
            case protocol.Joined(person=person) | protocol.Changed(person=person):
                self.people[person.id] = person
                if person.id == self.me:
                    self.muted &= {track.id for track in person.tracks if track.muted}
            case protocol.Left(participant=participant):
                self.people.pop(participant, None)
            case protocol.PublishAnswer():
                self._answer = message
            case protocol.SubscribeOffer():
                if self._receive:
                    await self._subscribe(message)
            case protocol.MutedBy(track=track):
                self.muted.add(track)
            case protocol.Ack(id=number):
                if (done := self._requests.get(number)) is not None and not done.done():
                    done.set_result(None)
            case protocol.Error(id=int(number)):
                if (done := self._requests.get(number)) is not None and not done.done():
                    retry = message.code in ("too-fast", "unavailable", "internal")
                    done.set_exception(ClientError(message.code, message.message, retry=retry))
            case protocol.Closed():
                self.closing = message

    async def _subscribe(self, offer: protocol.SubscribeOffer) -> None:
        try:
            answer = await self.media.answer(offer.sdp, offer.rebuild)
        except SdpError:
            return  # the server offers again when it has something we can read
        self.subscribed = {track.mid: track for track in offer.tracks}
        await self.send(protocol.SubscribeAnswer(sdp=answer, revision=offer.revision))
