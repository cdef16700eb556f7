"""When a packet was captured, in room time: RTP timestamps placed on the room clock through RTCP sender reports.

Until a track has a sender report its timestamps are placed by arrival: the least delayed packet of the last seconds
is taken to have had no delay. A sender report ties the track's timestamps to its publisher's NTP clock, and all
tracks of one publisher share one offset from that clock to the room's, so that voice and lips line up; the offset is
again that of the least delayed packet. NTP clocks may be wrong by years, may drift and may be set while we listen:
only differences are used, small ones are slewed, a clock that was set is met anew, and reports that make no sense are
not used.

All arguments are seconds (of any one monotonic clock, and of NTP time); results are milliseconds since `origin`, never
later than the arrival. Within a track the result never goes back while timestamps go on.
"""

from __future__ import annotations

WINDOW = 10.0
"""Delays older than one to two windows are forgotten: drift of 100 ppm amounts to 2 ms meanwhile."""

SLEW, FAST_SLEW = 0.05, 0.5
"""Seconds of correction per second of media; the fast one for corrections of more than `STEP` to an earlier time."""

STEP = 1.0
"""Corrections to a later time of more than this many seconds are made at once."""

CLOCK_SET = 0.5
"""A report this far from what the one before foretold means that the publisher's clock was set."""

FAR = 10.0
"""A report this many seconds off is not believed; packets this many seconds off start the track anew."""


class Least:
    """The least of the samples of the last one to two windows."""

    def __init__(self) -> None:
        self._now = self._before = float("inf")
        self._since = float("-inf")

    def add(self, value: float, time: float) -> float:
        if time - self._since > WINDOW:
            self._before = self._now if time - self._since <= 2 * WINDOW else float("inf")
            self._now, self._since = value, time
        self._now = min(self._now, value)
        return min(self._now, self._before)


class PublisherTiming:
    """The clock of one publisher. `origin` is the time, in seconds, of room time zero."""

    def __init__(self, origin: float) -> None:
        self.origin = origin
        self.offset = Least()
        self.clock = 0
        """Counts how often the publisher's clock was set."""

    def track(self, clock_rate: int) -> TrackTiming:
        return TrackTiming(self, clock_rate)


class TrackTiming:
    """Places one track's unwrapped timestamps. Made by `PublisherTiming.track`."""

    def __init__(self, publisher: PublisherTiming, clock_rate: int) -> None:
        self._publisher = publisher
        self._rate = clock_rate
        self._arrivals = Least()
        self._clock = -1
        self._anchor: float | None = None  # NTP seconds minus media seconds
        self._offset: float | None = None  # room seconds minus media seconds, as now in use
        self._newest = 0.0
        self._result = 0.0

    def report(self, ntp: float, timestamp: int, arrival: float) -> None:
        """A sender report: NTP time in seconds of an unwrapped timestamp."""
        media = timestamp / self._rate
        if ntp <= 0 or self._offset is None or abs(media + self._offset - arrival) > FAR:
            return
        anchor = ntp - media
        publisher = self._publisher
        if self._anchor is not None and self._clock == publisher.clock and abs(anchor - self._anchor) > CLOCK_SET:
            publisher.clock += 1
            publisher.offset = Least()
        self._anchor, self._clock = anchor, publisher.clock

    def media_ms(self, timestamp: int, arrival: float) -> float:
        """Room time of capture of the packet that arrived now."""
        media = timestamp / self._rate
        if self._offset is not None and abs(arrival - media - self._offset) > FAR:
            self._arrivals, self._anchor = Least(), None
            self._offset, self._newest = arrival - media, media
            self._result = max(self._result, arrival)
        target = self._arrivals.add(arrival - media, arrival)
        if self._anchor is not None and self._clock == self._publisher.clock:
            shared = self._publisher.offset.add(arrival - media - self._anchor, arrival) + self._anchor
            if arrival - media - shared <= FAR:
                target = shared
        if self._offset is None:
            self._offset, self._newest = target, media
            self._result = media + target
        elif media > self._newest:
            self._correct(target, media - self._newest)
            self._newest = media
            self._result = max(self._result, min(media + self._offset, arrival))
        elif media < self._newest:
            return (min(media + self._offset, self._result) - self._publisher.origin) * 1000
        return (self._result - self._publisher.origin) * 1000

    def _correct(self, target: float, passed: float) -> None:
        assert self._offset is not None
        error = target - self._offset
        if error > STEP:
            self._offset = target
        else:
            limit = passed * (FAST_SLEW if error < -STEP else SLEW)
            self._offset += max(-limit, min(limit, error))
