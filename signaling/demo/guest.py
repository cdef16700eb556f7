"""One demo guest: goes in, publishes voice and picture, and comes back when the server was away."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import structlog

from sfu.client import ClientTrack, MediaClient
from signaling import protocol
from signaling.client import Participant, Refused, redeem
from signaling.demo.assets import FRAME_MS, SILENT, Guest, Picture, Sound
from signaling.demo.vp9 import payloads

log = structlog.get_logger("demo")

TRACKS = (ClientTrack("microphone", "OPUS"), ClientTrack("camera", "VP9"))
MICROPHONE, CAMERA = "0", "1"
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
AUDIO_STEP = 48 * FRAME_MS
VIDEO_CLOCK = 90_000
SILENCE = b"\xf8\xff\xfe"
"""An Opus packet of 20 ms in which nothing is said."""


class DemoGuest:
    """`advance` is called with the time; everything that is due by then is sent."""

    def __init__(self, guest: Guest, sound: Sound, picture: Picture) -> None:
        self.guest = guest
        self.participant: Participant | None = None
        self._sound = sound
        self._picture = picture
        self._audio = 0
        """Audio packets sent since the start of the media clock."""
        self._video = 0
        self._frame = 0
        self._picture_id = 0
        self._muted: set[str] = set()

    @property
    def others(self) -> set[str]:
        """Ids of the other people who are connected now."""
        inside = self.participant
        if inside is None or inside.welcome is None:
            return set()
        return {person.id for person in inside.people.values() if person.connected and person.id != inside.id}

    async def live(self, link: str) -> None:
        """Stays in the room until the link is refused, coming back whenever the server was away."""
        attempt = 0
        resume: str | None = None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            while True:
                inside = self._new(http)
                try:
                    await inside.enter(await redeem(http, link), TRACKS, resume)
                    attempt = 0
                    assert inside.welcome is not None
                    resume = inside.welcome.resume
                    self._picture_next()
                    self.participant = inside
                    await inside.stay()
                except Refused as refusal:
                    log.warning("the room will not have the demo guest", reason=str(refusal))
                    return
                except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                    log.info("the demo guest lost the server", problem=str(error) or type(error).__name__)
                finally:
                    self.participant = None
                    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                        await inside.leave()
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                attempt += 1

    def _new(self, http: aiohttp.ClientSession) -> Participant:
        self._muted = set()
        media = MediaClient(on_keyframe=lambda mid: self._picture_next(), receives=False, name=self.guest.id)
        return Participant(http, media, self.guest.name, spoken=self.guest.language, on_message=self._hear)

    def _hear(self, message: protocol.ServerMessage) -> None:
        if isinstance(message, protocol.MutedBy) and self.participant is not None:
            self._muted |= {mid for mid, track in self.participant.tracks.items() if track == message.track}

    def _picture_next(self) -> None:
        """Somebody needs a picture to start from: the loop goes on at its next key frame."""
        at = self._frame % len(self._picture.frames)
        self._frame = next((key for key in self._picture.keyframes if key >= at), self._picture.keyframes[0])

    def advance(self, media_seconds: float, spoken_from: float | None) -> None:
        """Sends what is due. `media_seconds` is the running media clock; `spoken_from` is where on it the discussion
        began, None while nobody is there to hear it (then the media clock runs on and nothing is sent)."""
        inside = self.participant
        audio_due = int(media_seconds * 1000 / FRAME_MS)
        video_due = int(media_seconds * self._picture.rate)
        if inside is None or spoken_from is None:
            self._audio, self._video = audio_due, video_due
            return
        offset = int(spoken_from * 1000 / FRAME_MS)
        while self._audio < audio_due:
            at = self._audio - offset
            said = 0 <= at < len(self._sound.packets)
            payload = self._sound.packets[at] if said else SILENCE
            if MICROPHONE not in self._muted:
                level = self._sound.levels[at] if said else SILENT
                inside.media.send_rtp(MICROPHONE, payload, self._audio * AUDIO_STEP, level=level)
            self._audio += 1
        while self._video < video_due:
            self._send_frame(inside, int(self._video * VIDEO_CLOCK / self._picture.rate))
            self._video += 1

    def _send_frame(self, inside: Participant, timestamp: int) -> None:
        at = self._frame % len(self._picture.frames)
        self._frame += 1
        if CAMERA in self._muted:
            return
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        parts = payloads(self._picture.frames[at], self._picture_id, at in self._picture.keyframes)
        for part in parts:
            inside.media.send_rtp(CAMERA, part, timestamp, marker=part is parts[-1])
