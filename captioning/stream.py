"""One audio track inside a worker: packets in, utterances out. No clock: the times are those of the packets."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from captioning.decode import RATE, Chunk, OpusDecoder, Samples
from captioning.draft import Draft
from captioning.hypothesis import Hypothesis
from captioning.language import SpokenLanguage
from captioning.messages import Packet
from captioning.segmenter import Breath, Ended, Event, Lull, Opened, Segmenter
from captioning.vad import FRAME, FRAME_MS, VoiceActivity

KEEP = RATE * 2
"""Samples kept while nobody speaks, for the beginning of the next utterance."""


@dataclass(slots=True)
class Utterance:
    """`samples` is None while it is open. `offered` is the speech (as a frame) that an interim was last asked for.
    `heard` is the newest full result of what lies behind the `pieces`, and the speech that it covers. Pieces ended at a
    breath, were heard in full and stay; what lies behind them begins at frame `rest`. `refused` are the drafts in a row
    that the guards kept off the screen; `doubted` when there was ever one."""

    number: int
    start: int
    start_ms: float
    draft: Draft
    rest: int
    end_ms: float = 0.0
    speech_end: int = 0
    offered: int = 0
    samples: Samples | None = None
    heard: tuple[Hypothesis, int] | None = None
    pieces: list[Hypothesis] = field(default_factory=list)
    language: str | None = None
    shown: tuple[str, str] | None = None
    refused: int = 0
    doubted: bool = False
    translated_at: float = 0.0
    translated: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Began:
    """An utterance opened."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Grew:
    """There is more of an open utterance; `breath` when the speaker paused, `lull` when it was for longer than a
    breath."""

    utterance: Utterance
    breath: bool = False
    lull: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """An utterance is over and carries its samples."""

    utterance: Utterance


Change = Began | Grew | Finished


class Stream:
    """See the module text. `pending` are finished utterances whose words are not out yet, by number."""

    def __init__(self, room: str, language: SpokenLanguage, utterance: int) -> None:
        self.room = room
        self.language = language
        self.open: Utterance | None = None
        self.pending: OrderedDict[int, Utterance] = OrderedDict()
        self.closing = False
        self._number = utterance
        self._decoder = OpusDecoder()
        self._vad = VoiceActivity()
        self._segmenter = Segmenter()
        self._audio: Samples = np.zeros(0, np.float32)
        self._base = 0
        """Index of the first sample in `_audio`, counted since the stream began."""
        self._anchors: list[tuple[int, float]] = []

    @property
    def next_utterance(self) -> int:
        return self._number

    @property
    def bad_packets(self) -> int:
        return self._decoder.bad

    @property
    def listening(self) -> bool:
        """Whether somebody speaks, or may be about to."""
        return self._segmenter.speaking

    @property
    def speech_end(self) -> int:
        """The frame up to which there was speech."""
        return self._segmenter.speech_end

    @property
    def piece_ms(self) -> float:
        """How much there is of what the next draft of the open utterance hears."""
        return 0.0 if self.open is None else (self._segmenter.position - self.open.draft.anchor) * FRAME_MS

    @property
    def rest_ms(self) -> float:
        """How much there is of the open utterance behind its pieces."""
        return 0.0 if self.open is None else (self._segmenter.position - self.open.rest) * FRAME_MS

    @property
    def quiet_ms(self) -> float:
        """How long nobody has spoken."""
        return (self._segmenter.position - self._segmenter.speech_end) * FRAME_MS

    @property
    def now_ms(self) -> float:
        """Room time up to which the stream has been heard."""
        return self._ms(self._base + len(self._audio))

    def hear(self, packets: list[Packet]) -> list[Change]:
        return self._chunks(self._decoder.decode(packets))

    def pad(self, milliseconds: float) -> list[Change]:
        """No packet came for so long: the speaker is silent as far as anybody can hear."""
        return self._chunks(self._decoder.pad(milliseconds))

    def flush(self) -> list[Change]:
        """Finish what is open."""
        changes = [change for event in self._segmenter.flush() for change in self._change(event)]
        self._vad.reset()
        return changes

    def sound(self, start: int) -> tuple[Samples, int]:
        """The open utterance's samples from a frame on, and the frame up to which there was speech in them."""
        return self._slice(start, self._segmenter.position), self._segmenter.speech_end

    def _chunks(self, chunks: list[Chunk]) -> list[Change]:
        changes: list[Change] = []
        run: list[Chunk] = []
        for chunk in chunks:
            if chunk.jump:
                changes.extend(self._run(run))
                changes.extend(self.flush())
                run = []
            run.append(chunk)
        changes.extend(self._run(run))
        return changes

    def _run(self, chunks: list[Chunk]) -> list[Change]:
        """Chunks that follow on from each other."""
        if not chunks:
            return []
        at = self._base + len(self._audio)
        for chunk in chunks:
            self._anchors.append((at, chunk.start_ms))
            at += len(chunk.samples)
        samples = np.concatenate([chunk.samples for chunk in chunks])
        self._audio = np.concatenate([self._audio, samples])
        changes: list[Change] = []
        before = self._segmenter.position
        for probability, energy in self._vad.feed(samples):
            for event in self._segmenter.feed(probability, energy):
                changes.extend(self._change(event))
        if self.open is not None and self._segmenter.position > before:
            changes.append(Grew(self.open))
        self._trim()
        return changes

    def _change(self, event: Event) -> list[Change]:
        match event:
            case Opened(start):
                self.open = Utterance(self._number, start, self._ms(self._at(start)), Draft(start), start)
                self._number += 1
                return [Began(self.open)]
            case Breath() if self.open is not None:
                return [Grew(self.open, breath=True)]
            case Lull() if self.open is not None:
                return [Grew(self.open, lull=True)]
            case Ended(start, end, cut) if self.open is not None:
                done, self.open = self.open, None
                done.samples = self._slice(start, end)
                done.end_ms = self._ms(self._at(end))
                done.speech_end = end if cut else min(end, self._segmenter.speech_end)
                self.pending[done.number] = done
                return [Finished(done)]
        return []

    def _at(self, frame: int) -> int:
        """The sample at which a frame begins."""
        return frame * FRAME

    def _slice(self, start: int, end: int) -> Samples:
        first = max(0, self._at(start) - self._base)
        return self._audio[first : max(first, self._at(end) - self._base)].copy()

    def _trim(self) -> None:
        end = self._base + len(self._audio)
        keep_from = self._at(self.open.start) if self.open is not None else end - KEEP
        if keep_from - self._base > KEEP:
            self._audio = self._audio[keep_from - self._base :].copy()
            self._base = keep_from
            first = max(0, bisect_right(self._anchors, (self._base, float("inf"))) - 1)
            del self._anchors[:first]

    def _ms(self, sample: int) -> float:
        index = max(0, bisect_right(self._anchors, (sample, float("inf"))) - 1)
        if not self._anchors:
            return 0.0
        at, ms = self._anchors[index]
        return ms + (sample - at) * 1000 / RATE
