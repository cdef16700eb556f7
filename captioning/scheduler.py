"""One queue for all streams of a worker: finals first, then the interim that has waited longest.

A stream has at most one interim waiting: a newer one replaces it, because the audio is taken when the work begins.
When the voices need more than the worker has, interims get rarer and then stop, so that finals keep up. Finals are
never dropped. Time is an argument, in seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """`load` is the share of time that interims may take; `shortest` and `longest` bound the time between two interims
    of a stream: when they would have to be rarer than `longest`, they stop. All times in seconds."""

    load: float = 0.8
    shortest: float = 0.7
    longest: float = 4.0
    back: float = 3.0
    """Interims come back when they could be this often."""
    hold: float = 2.0
    """No interims while a final has waited this long."""
    memory: float = 3.0
    """A stream counts as speaking for so long after its last offer."""
    first_cost: float = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """Work on one utterance of one stream. `full` asks for the best result we can make, though it is only an
    interim."""

    stream: str
    utterance: int
    final: bool
    full: bool
    since: float
    urgent: bool = False
    """The speaker paused: it does not wait for the period."""


class Scheduler:
    """See the module text. `shed` counts interims that were replaced or dropped."""

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.settings = settings or SchedulerSettings()
        self._finals: deque[Job] = deque()
        self._interims: dict[str, Job] = {}
        self._started: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._cost = self.settings.first_cost
        self._stopped = False
        self.shed = 0

    def offer_interim(
        self, stream: str, utterance: int, now: float, *, full: bool = False, urgent: bool = False
    ) -> None:
        """There is new audio in an open utterance. `urgent`: the speaker paused, do not wait for the period; `full`:
        and may have finished."""
        self._heard[stream] = now
        waiting = self._interims.get(stream)
        same = waiting is not None and waiting.utterance == utterance
        if waiting is not None and not same:
            self.shed += 1
        since = waiting.since if waiting is not None and same else now
        full = full or (same and waiting is not None and waiting.full)
        urgent = urgent or full or (same and waiting is not None and waiting.urgent)
        self._interims[stream] = Job(stream, utterance, False, full, since, urgent)

    def offer_final(self, stream: str, utterance: int, now: float) -> None:
        """An utterance is over; what waits for it as an interim is no longer needed."""
        if self._interims.pop(stream, None) is not None:
            self.shed += 1
        self._finals.append(Job(stream, utterance, True, True, now))

    def forget(self, stream: str) -> None:
        """The stream is gone; its finals stay."""
        self._interims.pop(stream, None)
        self._started.pop(stream, None)
        self._heard.pop(stream, None)

    def batch(self, now: float, most: int) -> list[Job]:
        """Up to `most` jobs to begin now, together: finals if there are any, else full interims or else drafts, of one
        stream each. Call `finished` for each."""
        if self._finals:
            return self._first_finals(most)
        self._judge(now)
        ready = sorted((j for j in self._interims.values() if self._ready_at(j) <= now), key=lambda job: job.since)
        chosen = [job for job in ready if job.full is ready[0].full][:most]
        for job in chosen:
            del self._interims[job.stream]
            self._started[job.stream] = now
        return chosen

    def _first_finals(self, most: int) -> list[Job]:
        """The oldest; a stream's second one waits for its first."""
        chosen: list[Job] = []
        left: deque[Job] = deque()
        streams: set[str] = set()
        while self._finals:
            job = self._finals.popleft()
            if len(chosen) < most and job.stream not in streams:
                chosen.append(job)
            else:
                left.append(job)
            streams.add(job.stream)
        self._finals = left
        return chosen

    def finished(self, job: Job, cost: float) -> None:
        """`cost` is the time the job took."""
        if not job.final:
            self._cost += 0.2 * (cost - self._cost)

    def wait(self, now: float) -> float | None:
        """Seconds until `batch` may return something by the passing of time alone; None if only an offer can bring
        work."""
        if self._finals:
            return 0.0
        times = [self._ready_at(job) for job in self._interims.values()]
        soonest = min((time for time in times if time != float("inf")), default=None)
        return None if soonest is None else max(0.0, soonest - now)

    def period(self, now: float) -> float:
        """Seconds between two interims of a stream that the load allows now."""
        speaking = sum(1 for heard in self._heard.values() if now - heard <= self.settings.memory)
        return max(self.settings.shortest, speaking * self._cost / self.settings.load)

    def queue(self) -> int:
        """Finals waiting."""
        return len(self._finals)

    def lag(self, now: float) -> float:
        """How long the oldest final has waited."""
        return now - self._finals[0].since if self._finals else 0.0

    @property
    def overloaded(self) -> bool:
        """Whether interims have stopped because there are too many voices."""
        return self._stopped

    def _judge(self, now: float) -> None:
        self._period = self.period(now)
        limit = self.settings.back if self._stopped else self.settings.longest
        self._stopped = self._period > limit

    def _ready_at(self, job: Job) -> float:
        if self._stopped:
            return float("inf")
        if job.urgent:
            return job.since
        return self._started.get(job.stream, float("-inf")) + getattr(self, "_period", self.settings.shortest)
