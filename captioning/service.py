"""What signaling uses: one `CaptionService` for the server, one `RoomCaptions` (a tap) per room.

The server's own process never decodes audio: it hands packets to worker processes in batches and turns what they say
into caption events with revisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from captioning.bus import PipeTransport, Transport
from captioning.caption import Caption
from captioning.config import CaptionConfig, CaptionStatus, State
from captioning.glossary import Term, bounded
from captioning.language import base
from captioning.messages import Closed, Done, Packet, Retranslate, Retranslated, ToServer, Translation, Words
from captioning.segment import Segments
from captioning.supervisor import Supervisor
from captioning.typed import Typed
from captioning.voice import Said, Voice
from sfu.taps import RoomClock, TapPacket, TrackInfo

log = logging.getLogger("captioning")

CLOSE_WITHIN = 8.0
"""Seconds that `RoomCaptions.close` waits for the last finals."""
LARGEST_PAYLOAD = 1_500
ANSWER_WITHIN = 20.0
"""Seconds between two languages of a text of no room, for as long as more are waited for."""
NO_ROOM = ""
_TEXT = "text:"
"""Begins the segment of a text that nobody spoke; a track's id, with which others begin, has no colon."""


class CaptionService:
    """Starts the workers and shares the rooms' streams out among them."""

    def __init__(self, config: CaptionConfig) -> None:
        self.config = config
        self._supervisors: list[Supervisor] = []
        self._owners: dict[str, tuple[RoomCaptions, Supervisor]] = {}
        self._rooms: set[RoomCaptions] = set()
        self._counters: Counter[str] = Counter()
        self._opened = 0
        self._asked: dict[str, asyncio.Queue[Retranslated]] = {}
        """Texts of no room, by segment."""
        self._texts = 0

    async def start(self) -> None:
        """Returns at once; models load in the worker processes. What goes wrong there is in `status`."""
        if not self.config.enabled or self._supervisors:
            return
        for transport in self._transports():
            supervisor = Supervisor(transport, self._receive, _nothing)
            supervisor.start()
            self._supervisors.append(supervisor)

    async def stop(self) -> None:
        """Close every room (with its finals) and end the workers."""
        await asyncio.gather(*(room.close() for room in list(self._rooms)))
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors))
        self._supervisors.clear()

    def status(self) -> CaptionStatus:
        """Now. `read` are the languages translation can reach; `spoken` those the model hears."""
        if not self._supervisors:
            return CaptionStatus("off")
        ready = [s for s in self._supervisors if s.ready is not None]
        beats = [s.beat for s in self._supervisors if s.beat is not None]
        problem = next((s.problem for s in self._supervisors if s.problem), None)
        state: State
        if ready:
            state = "overloaded" if any(beat.overloaded for beat in beats) else "ready"
        else:
            state = "failed" if problem else "loading"
        counters = Counter(self._counters)
        for supervisor in self._supervisors:
            counters.update(supervisor.counters())
        first = ready[0].ready if ready else None
        return CaptionStatus(
            state=state,
            spoken=tuple(first.spoken) if first else (),
            read=tuple(first.read) if first else (),
            lag_ms=max((beat.lag_ms for beat in beats), default=0.0),
            problem=problem if state == "failed" else None,
            queue=sum(beat.queue for beat in beats),
            streams=len(self._owners),
            counters=dict(counters),
        )

    def cpu_seconds(self) -> float:
        """Processor time that the workers alive now have used."""
        return sum(s.beat.cpu for s in self._supervisors if s.beat is not None)

    def worker_pids(self) -> list[int]:
        """The worker processes on this machine."""
        return [s.pid for s in self._supervisors if s.pid is not None]

    def open_room(self, room: str, on_caption: Callable[[Caption], None], clock: RoomClock) -> RoomCaptions:
        """Captions for one room. `on_caption` is called on the event loop and must not block."""
        self._opened += 1
        captions = RoomCaptions(self, f"{room}#{self._opened}", on_caption, clock)
        self._rooms.add(captions)
        return captions

    async def translate(
        self, source: str, text: str, languages: Sequence[str], terms: Sequence[Term] = ()
    ) -> list[Retranslated]:
        """A text of no open room in these languages (BCP 47), as far as there is a way to each and a worker now.
        `terms` are those in it that have a translation of their own."""
        reached = {base(tag) for tag in self.status().read}
        wanted = [tag for tag in dict.fromkeys(languages) if base(tag) in reached and base(tag) != base(source)]
        self._texts += 1
        segment = f"{_TEXT}{self._texts}"
        answers = self._asked[segment] = asyncio.Queue()
        said: list[Retranslated] = []
        try:
            self._retranslate(Retranslate(NO_ROOM, segment, 0, source, text, wanted, list(terms)))
            while len(said) < len(wanted):
                said.append(await asyncio.wait_for(answers.get(), ANSWER_WITHIN))
        except TimeoutError:
            log.info("a text has no translation in %d of %d languages", len(wanted) - len(said), len(wanted))
        finally:
            del self._asked[segment]
        return said

    # --- for RoomCaptions ---

    def _adopt(
        self, room: RoomCaptions, key: str, stream: str, language: str | None, among: list[str]
    ) -> Supervisor | None:
        """Give a stream to the worker with the fewest, as one of the room with this key."""
        if not self._supervisors:
            return None
        supervisor = min(self._supervisors, key=lambda s: s.load)
        self._owners[stream] = (room, supervisor)
        supervisor.open(stream, key, language, among)
        return supervisor

    def _release(self, stream: str) -> None:
        if (owned := self._owners.pop(stream, None)) is not None:
            owned[1].forget(stream)

    def _tell_readers(self, room: str, languages: list[str]) -> None:
        for supervisor in self._supervisors:
            supervisor.set_readers(room, languages)

    def _tell_glossary(self, room: str, terms: list[Term]) -> None:
        for supervisor in self._supervisors:
            supervisor.set_glossary(room, terms)

    def _retranslate(self, request: Retranslate) -> None:
        ready = [supervisor for supervisor in self._supervisors if supervisor.ready is not None]
        if ready and request.readers:
            min(ready, key=lambda supervisor: supervisor.load).retranslate(request)

    def _transports(self) -> list[Transport]:
        config = self.config
        if config.redis_url:
            from captioning.bus_redis_server import RedisTransport

            return [RedisTransport(config.redis_url)]
        return [PipeTransport(msgspec.json.encode(config.for_worker()), config.threads) for _ in range(config.workers)]

    def _receive(self, message: ToServer) -> None:
        if isinstance(message, Retranslated) and message.room == NO_ROOM:
            if (answers := self._asked.get(message.segment)) is not None:
                answers.put_nowait(message)
            return
        if isinstance(message, Retranslated):
            for room in self._rooms:
                if room.key == message.room:
                    room._retranslated(message)
            return
        if isinstance(message, Words | Translation | Done | Closed):
            owned = self._owners.get(message.stream)
            if owned is not None:
                owned[0]._hear(message)


class RoomCaptions:
    """A tap (`sfu.taps.Tap`): microphones in, caption events out."""

    def __init__(
        self, service: CaptionService, key: str, on_caption: Callable[[Caption], None], clock: RoomClock
    ) -> None:
        self.key = key
        self._service = service
        self._on_caption = on_caption
        self._clock = clock
        self._live: dict[str, TrackInfo] = {}
        self._streams: dict[str, str] = {}
        """The stream that a live track's packets go to, by track."""
        self._voices: dict[str, Voice] = {}
        """By stream, until the worker has said its last words."""
        self._opened: Counter[str] = Counter()
        self._unheard: set[str] = set()
        self._spoken: dict[str, str] = {}
        self._channels: dict[str, str] = {}
        """Who interprets now, and into what."""
        self._terms: list[Term] = []
        self._among: list[str] = []
        self._readers: frozenset[str] = frozenset()
        self._segments = Segments()
        self._typed = Typed(self._segments)
        self._said = Said(self._segments)
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self.on_text: Callable[[str, Retranslated], None] | None = None
        """Is given what `translate` asked for, by its key."""

    # --- what signaling says ---

    def set_spoken(self, participant: str, language: str | None) -> None:
        """The language a person says they speak (BCP 47); None to detect it."""
        if language is None:
            self._spoken.pop(participant, None)
        else:
            self._spoken[participant] = language
        for stream, voice in self._voices.items():
            if voice.participant == participant and voice.channel is None:
                voice.supervisor.set_language(stream, language, self._among)

    def set_channel(self, participant: str, language: str | None) -> None:
        """What a person says from now on is an interpretation into this language (BCP 47), which is what they speak and
        which nobody needs translated; None: it is of the floor again. What they had said is finished."""
        if language == self._channels.get(participant):
            return
        if language is None:
            del self._channels[participant]
        else:
            self._channels[participant] = language
            self._service._tell_glossary(self._interpreted, self._terms)
        for track in [t for t in self._live.values() if t.participant == participant and t.id in self._streams]:
            self._finish(track.id)
            self._listen(track)

    @property
    def _interpreted(self) -> str:
        """To the workers interpreters are in a room of their own, which nobody reads in another language."""
        return f"{self.key}/channels"

    def set_among(self, languages: Sequence[str]) -> None:
        """The languages that are spoken in this room (BCP 47): in whoever declares none, nothing else is detected.
        Empty: what the operator set, or all that the model hears."""
        self._among = sorted(set(languages))
        for stream, voice in self._voices.items():
            if voice.channel is None:
                voice.supervisor.set_language(stream, self._spoken.get(voice.participant), self._among)

    def set_heard(self, participant: str, heard: bool) -> None:
        """Whether a person is captioned at all. Who is not is not listened to: no packet of theirs leaves this process;
        what they had said is finished."""
        if heard == (participant not in self._unheard):
            return
        (self._unheard.discard if heard else self._unheard.add)(participant)
        for track in [t for t in self._live.values() if t.participant == participant]:
            if heard:
                self._listen(track)
            else:
                self._finish(track.id)

    def set_readers(self, languages: frozenset[str]) -> None:
        """The languages somebody in the room reads now (BCP 47); others are not translated to."""
        if languages != self._readers and not self._closed:
            self._readers = languages
            self._service._tell_readers(self.key, sorted(languages))

    def set_glossary(self, terms: Sequence[Term]) -> None:
        """The room's terms and its organisation's, the room's first: what is beyond a bound is left out."""
        if not self._closed:
            self._terms = bounded(terms)
            self._service._tell_glossary(self.key, self._terms)
            if self._channels:
                self._service._tell_glossary(self._interpreted, self._terms)

    def correct(self, segment: str, revision: int, text: str, by: str) -> None:
        """A person (`by`) writes a final anew, having seen this `revision`; translations follow. Raises KeyError for
        words that are not kept any more, `captioning.segment.Outdated` where they changed meanwhile."""
        changed = self._segments.correct(segment, revision, text, by)
        for caption in changed:
            self._publish(caption)
        self._say_anew(changed[0])

    def write(self, line: str, by: str, participant: str, language: str, text: str, final: bool) -> None:
        """A person (`by`) types a `line` of what `participant` says, instead of the machine: as it stands now, the
        whole of it each time. Translations follow when it is `final`."""
        if not self._closed:
            channel, now = self._channels.get(participant), self._clock.now()
            self._typed_now(self._typed.write(line, by, participant, language, text, final, now, channel))

    def line_speaker(self, by: str, line: str) -> str | None:
        """Whose this line of `by` is, while it is open."""
        return self._typed.speaker(by, line)

    def finish_line(self, by: str) -> None:
        """What `by` has typed stands as it is."""
        self._typed_now(self._typed.finish(by, self._clock.now()))

    def _typed_now(self, changed: list[Caption]) -> None:
        for caption in changed:
            self._publish(caption)
            if caption.final and caption.stable:
                self._say_anew(caption)

    def _say_anew(self, original: Caption) -> None:
        """What a person wrote, in the languages that are read."""
        if original.channel is not None:
            return
        readers = sorted({tag for tag in self._readers if tag.split("-")[0] != original.language.split("-")[0]})
        request = Retranslate(
            self.key, original.segment, original.revision, original.language, original.stable, readers
        )
        self._service._retranslate(request)

    def translate(self, key: str, source: str, text: str, language: str) -> None:
        """Something that was written, in a language that somebody reads: `on_text` gets it, or never does."""
        if not self._closed:
            self._service._retranslate(Retranslate(self.key, f"{_TEXT}{key}", 0, source, text, [language]))

    def snapshot(self) -> list[Caption]:
        """For late joiners: the last finals and what is open, oldest first."""
        return self._segments.snapshot()

    async def close(self) -> None:
        """Finish what people were saying, wait a bounded time for the finals, and stop."""
        if self._closed:
            return
        self._closed = True
        for stream, voice in list(self._voices.items()):
            if not voice.closed:
                voice.closed = True
                voice.supervisor.close(stream)
            if voice.supervisor.problem is not None:  # it has nothing to wait for
                self._hear(Closed(stream))
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._empty.wait()
        except TimeoutError:
            log.warning("room %s closed with captions still owed for %d voices", self.key, len(self._voices))
        for stream in list(self._voices):
            self._service._release(stream)
        self._voices.clear()
        self._service._tell_readers(self.key, [])
        for key in (self.key, self._interpreted):
            self._service._tell_glossary(key, [])
        self._service._rooms.discard(self)

    # --- Tap ---

    def track_opened(self, track: TrackInfo, room_ms: float) -> None:
        hears = track.kind == "audio" and track.source == "microphone" and track.codec.name.upper() == "OPUS"
        if not hears or self._closed or track.id in self._live:
            return
        self._live[track.id] = track
        if track.participant not in self._unheard:
            self._listen(track)

    def packets(self, packets: Sequence[TapPacket]) -> None:
        by_stream: dict[str, list[Packet]] = {}
        for packet in packets:
            stream = self._streams.get(packet.track)
            if stream is not None and len(packet.payload) <= LARGEST_PAYLOAD:
                by_stream.setdefault(stream, []).append(Packet(packet.timestamp, packet.media_ms, packet.payload))
        for stream, theirs in by_stream.items():
            self._voices[stream].supervisor.packets(stream, theirs)

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None:
        if muted and (stream := self._streams.get(track)) is not None:
            self._voices[stream].supervisor.flush(stream)

    def track_closed(self, track: str, room_ms: float) -> None:
        self._live.pop(track, None)
        self._finish(track)

    def _listen(self, track: TrackInfo) -> None:
        self._opened[track.id] += 1
        again = self._opened[track.id]
        # A stream's utterances are counted from one: who is heard again must not write over what they said before.
        stream = track.id if again == 1 else f"{track.id}~{again}"
        channel = self._channels.get(track.participant)
        if channel is None:
            room, spoken, among = self.key, self._spoken.get(track.participant), self._among
        else:
            room, spoken, among = self._interpreted, channel, []
        supervisor = self._service._adopt(self, room, stream, spoken, among)
        if supervisor is not None:
            self._streams[track.id] = stream
            self._voices[stream] = Voice(track.id, track.participant, supervisor, channel)
            self._empty.clear()

    def _finish(self, track: str) -> None:
        stream = self._streams.pop(track, None)
        if stream is not None and (voice := self._voices.get(stream)) is not None and not voice.closed:
            voice.closed = True
            voice.supervisor.close(stream)

    # --- what the worker says ---

    def _hear(self, message: Words | Translation | Done | Closed) -> None:
        voice = self._voices.get(message.stream)
        if voice is None:
            return
        if isinstance(message, Closed):
            del self._voices[message.stream]
            if self._streams.get(voice.track) == message.stream:
                del self._streams[voice.track]
            self._service._release(message.stream)
            if not self._voices:
                self._empty.set()
        elif isinstance(message, Words):
            for caption in self._said.words(voice, message):
                self._publish(caption)
        elif isinstance(message, Translation):
            self._publish(self._said.translation(voice, message))

    def _retranslated(self, said: Retranslated) -> None:
        if said.segment.startswith(_TEXT):
            if self.on_text is not None:
                self.on_text(said.segment.removeprefix(_TEXT), said)
            return
        original = self._segments.original(said.segment)
        if original is None or original.revision != said.correction:
            return
        if original.corrected_by is not None or original.written_by is not None:
            self._publish(
                self._segments.retranslate(
                    said.segment, said.language, said.text, said.engine, said.pivot, list(said.guard)
                )
            )

    def _publish(self, caption: Caption | None) -> None:
        if caption is None:
            return
        self._service._counters["captions_final" if caption.final else "captions_interim"] += 1
        try:
            self._on_caption(caption)
        except Exception:  # a listener's mistake must not stop the captions of everybody
            log.exception("a caption could not be delivered")


def _nothing() -> None:
    """Status is asked for, not pushed."""


__all__ = ["CaptionConfig", "CaptionService", "CaptionStatus", "RoomCaptions"]
