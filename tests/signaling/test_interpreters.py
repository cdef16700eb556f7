"""Interpreters in a room: whom their voices reach, how they hand over, whose words are whose. Real media and worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from benchmarks._speech import FRAME
from captioning.caption import Caption
from sfu.client import MediaClient
from sfu.streams import ReceivedPacket
from signaling import protocol
from signaling.client import Invitation, Participant, Refused
from tests.captioning.speech import clip
from tests.sfu.people import MICROPHONE, Feed
from tests.signaling.conftest import House
from tests.signaling.test_renderings import house, pytestmark

__all__ = ["house", "pytestmark"]  # a server with a real worker


class Guest:
    """Somebody with a microphone. `heard` counts the packets of each person; `until` waits for a condition."""

    news: asyncio.Event

    def __init__(self, http: aiohttp.ClientSession, name: str, news: asyncio.Event, **more: str) -> None:
        self.heard: dict[str, int] = {}
        self.told: list[protocol.ServerMessage] = []
        self.captions: list[Caption] = []
        self.news = news
        self.media = MediaClient(on_packet=self._packet, name=name)
        self.inside = Participant(http, self.media, name, on_message=self._told, **more)

    @property
    def id(self) -> str:
        return self.inside.id

    def _packet(self, packet: ReceivedPacket) -> None:
        if (track := self.inside.subscribed.get(packet.mid)) is not None:
            self.heard[track.participant] = self.heard.get(track.participant, 0) + 1
            self.news.set()

    def _told(self, message: protocol.ServerMessage) -> None:
        self.told.append(message)
        if isinstance(message, protocol.Captioned):
            self.captions.append(message.caption)
        self.news.set()

    def of(self, person: Guest) -> int:
        return self.heard.get(person.id, 0)

    @property
    def room(self) -> protocol.RoomInfo:
        rooms = [one.room for one in self.told if isinstance(one, protocol.Welcome | protocol.RoomChanged)]
        return rooms[-1]

    @property
    def muted(self) -> bool:
        return self.inside.people[self.id].tracks[0].muted

    def speaking(self) -> Feed:
        return Feed(self.media, "0", period=0.02, clock=48000)

    async def refused(self, message: protocol.Request) -> str:
        with pytest.raises(Refused) as error:
            await self.inside.ask(message)
        return error.value.code

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.news.clear()
                await self.news.wait()


class Meeting:
    """People of one room."""

    def __init__(self, house: House) -> None:
        self.house, self.news = house, asyncio.Event()
        self.guests: list[Guest] = []

    async def join(self, name: str, role: str = "guest", **more: str) -> Guest:
        guest = Guest(self.house.http, name, self.news, **more)
        invitation = Invitation(self.house.url, "demo", await self.house.grant(role))
        await guest.inside.enter(invitation, [] if role == "viewer" else [MICROPHONE])
        self.guests.append(guest)
        return guest

    async def __aenter__(self) -> Meeting:
        return self

    async def __aexit__(self, *_: object) -> None:
        for guest in self.guests:
            await guest.inside.leave()


async def test_a_channel_reaches_its_listeners_and_the_floor_never_hears_it(house: House) -> None:
    async with Meeting(house) as meeting:
        host, ana, ben, eva = [await meeting.join(*who) for who in (("Host", "host"), ("Ana",), ("Ben",), ("Eva",))]
        watching = await meeting.join("Vi", "viewer")
        give = protocol.SetInterpreter(participant=ana.id, language="pt", interpreter=True)
        # Who may what.
        assert await ana.refused(give) == "not-allowed"
        assert await ana.refused(protocol.TakeChannel(language="pt")) == "not-allowed"
        assert await ana.refused(protocol.SetRelay(language="pt")) == "not-allowed"
        assert await eva.refused(protocol.SetSigning(participant=eva.id)) == "not-allowed"
        absent = protocol.SetInterpreter(participant="nobody", language="pt", interpreter=True)
        assert await host.refused(absent) == "not-found"
        mute = protocol.SetInterpreter(participant=watching.id, language="pt", interpreter=True)
        assert await host.refused(mute) == "bad-state", "who may not speak"
        for who, language in ((ana, "pt"), (ben, "pt"), (ben, "es")):
            one = protocol.SetInterpreter(participant=who.id, language=language, interpreter=True)
            await host.inside.ask(one)
        await host.inside.ask(protocol.StartRecording())
        await host.until(lambda: host.room.recording.state == "recording")
        recording = host.room.recording.recording or ""
        # Eva wants Portuguese, if there is any.
        await eva.inside.ask(protocol.HearChannel(language="pt"))
        async with ana.speaking(), ben.speaking():
            await eva.until(lambda: all(eva.of(who) > 10 and host.of(who) > 10 for who in (ana, ben)))
            await ana.inside.ask(protocol.TakeChannel(language="pt"))
            floor, hers, his = host.of(ana), eva.of(ana), host.of(ben)
            await eva.until(lambda: eva.of(ana) > hers + 40 and host.of(ben) > his + 40)
            assert host.of(ana) <= floor + 5 and ben.of(ana) <= floor + 5, "what was on its way"
            speakers = house.server.hub.rooms["demo"].speaking
            assert ana.id not in speakers, "nobody's page turns to an interpreter"
            late = await meeting.join("Late")
            await late.until(lambda: late.of(ben) > 20)
            assert late.of(ana) == 0
            # Ben takes over: Ana is off, and muted before the floor could hear her.
            floor = host.of(ana)
            await ben.inside.ask(protocol.TakeChannel(language="pt"))
            await eva.until(lambda: ana.muted and eva.room.channels[0].speaking == ben.id)
            assert any(isinstance(one, protocol.MutedBy) and one.by == ben.id for one in ana.told)
            hers, theirs = eva.of(ben), host.of(ben)
            await eva.until(lambda: eva.of(ben) > hers + 40)
            assert host.of(ana) == floor and host.of(ben) <= theirs + 5
            # Into Spanish by relay: he hears Portuguese now, and not the floor's own words of Ana.
            await ana.inside.ask(protocol.SetMuted(track=ana.inside.tracks["0"], muted=False))
            await ben.inside.ask(protocol.TakeChannel(language="es"))
            assert not ben.muted, "from one channel to another"
            await ana.inside.ask(protocol.TakeChannel(language="pt"))
            relayed = ben.of(ana)
            await ben.inside.ask(protocol.SetRelay(language="es", listens="pt"))
            await ben.until(lambda: ben.of(ana) > relayed + 20)
            assert await host.refused(protocol.SetRelay(language="pt", listens="es")) == "bad-state"
            # A moderator takes the channel back: off, and muted.
            floor = host.of(ana)
            back = protocol.SetInterpreter(participant=ana.id, language="pt", interpreter=False)
            await host.inside.ask(back)
            await eva.until(lambda: ana.muted and eva.room.channels[0].speaking is None)
            # Off the air by oneself: muted too; unmuted, the floor hears one again.
            await ben.inside.ask(protocol.TakeChannel())
            assert ben.muted and host.of(ana) == floor
            his = host.of(ben)
            await ben.inside.ask(protocol.SetMuted(track=ben.inside.tracks["0"], muted=False))
            await host.until(lambda: host.of(ben) > his + 20)
            # Who may not speak any more interprets no more.
            await ben.inside.ask(protocol.TakeChannel(language="pt"))
            await host.inside.ask(protocol.SetRole(participant=ben.id, role="viewer"))
            await host.until(lambda: host.room.channels == [])
            assert await ben.refused(protocol.TakeChannel(language="pt")) == "not-allowed"
        # The recording knows what was not of the floor.
        await host.inside.ask(protocol.StopRecording())
        kept = (await house.server.library.manifest(recording)).channels
        assert [(one.participant, one.language) for one in kept] == [
            (ana.id, "pt"), (ben.id, "pt"), (ben.id, "es"), (ana.id, "pt"), (ben.id, "pt"),
        ]  # fmt: skip
        assert all(one.end > one.start for one in kept)
        # The one who signs, until they go.
        await host.inside.ask(protocol.SetSigning(participant=late.id))
        await eva.until(lambda: eva.room.signing == late.id)
        await late.inside.leave()
        await eva.until(lambda: eva.room.signing is None)
        acts = [row.act for row in await house.server.store.audit.latest(40)]
        assert {"interpreter", "channel-taken", "channel-left", "channel-relay", "interpreter-off", "signing"} <= set(
            acts
        )


async def test_a_channels_words_are_read_by_its_listeners_and_by_nobody_else(house: House) -> None:
    async with Meeting(house) as meeting:
        host = await meeting.join("Host", "host", reads="en")
        # She says that she speaks English; what she interprets into is Portuguese all the same.
        ina = await meeting.join("Ina", spoken="en")
        eva = await meeting.join("Eva", reads="en")
        await host.inside.ask(protocol.SetInterpreter(participant=ina.id, language="pt", interpreter=True))
        await eva.inside.ask(protocol.HearChannel(language="pt"))
        await ina.inside.ask(protocol.TakeChannel(language="pt"))
        await talk(ina, clip("pt-consulta.opus"), 0)
        await eva.until(lambda: any(one.final and one.stable for one in eva.captions), 60)
        assert {(one.language, one.source, one.channel) for one in eva.captions} == {("pt", "pt", "pt")}
        said = " ".join(one.stable for one in eva.captions if one.final).casefold()
        assert "paciente" in said and "joelho" in said
        # Who types for everybody types for the floor; who types for her types for her listeners.
        await host.inside.ask(protocol.SetCaptioner(participant=host.id, captioner=True))
        await host.inside.ask(protocol.TakeCaptions())
        unheard = house.server.hub.rooms["demo"].words._captions._unheard  # type: ignore[attr-defined]
        assert eva.id in unheard and ina.id not in unheard
        await host.inside.ask(protocol.TakeCaptions(of=ina.id))
        typed = protocol.WriteCaption(line="a", text="Ainda dói.", language="pt", final=True)
        await host.inside.ask(typed)
        await eva.until(lambda: eva.captions[-1].stable == "Ainda dói." and eva.captions[-1].channel == "pt")
        assert host.captions == []
        await host.inside.ask(protocol.TakeCaptions(taken=False))
        # Off the air she is of the floor again, in what she says that she speaks.
        await ina.inside.ask(protocol.TakeChannel())
        await ina.inside.ask(protocol.SetMuted(track=ina.inside.tracks["0"], muted=False))
        before = len(eva.captions)
        await talk(ina, clip("en-dose.opus"), 10_000)
        await host.until(lambda: any(one.final for one in host.captions), 60)
        assert host.captions[0].channel is None and host.captions[0].source == "en"
        assert all(one.channel is None for one in host.captions + eva.captions[before:])
        late = await meeting.join("Late", reads="pt")
        assert late.inside.welcome is not None and all(one.channel is None for one in late.inside.welcome.captions)
        # Whoever turns to the channel later reads what was said there.
        await late.inside.ask(protocol.HearChannel(language="pt"))
        await late.until(lambda: any(one.channel == "pt" for one in late.captions))


async def talk(person: Guest, packets: list[bytes], first: int) -> None:
    """At twice the pace of speech."""
    for number, packet in enumerate(packets, first):
        person.media.send_rtp("0", packet, number * FRAME)
        if number % 4 == 3:
            await asyncio.sleep(0.04)
