"""Which sinks get a source's packets and which wait for its next key frame."""

from __future__ import annotations

from sfu.history import MediaPacket
from sfu.plane import KeyframeWanted, Layers, SinkSwitched
from sfu.plane.incoming import Incoming
from sfu.plane.outgoing import Outgoing

REMIND = 1.0
"""A sink that still waits for a key frame says so again after this many seconds."""


class Switchboard:
    """The sources and sinks of a plane by their ids, and what is to be told of them.

    A sink is in `live` of the source that it shows and in `waiting` of the one that it is aimed at, if that is another
    one or it shows nothing yet; a paused sink is in none.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Incoming] = {}
        self.sinks: dict[str, Outgoing] = {}
        self.wanted: dict[tuple[str, str], KeyframeWanted] = {}
        self.switched: dict[str, SinkSwitched] = {}
        self.now = 0.0

    def want_keyframe(self, source: Incoming, sink: Outgoing) -> None:
        """Tells that this sink needs a key frame of the source."""
        if source.spec.kind == "video":
            key = (source.spec.id, sink.spec.id)
            self.wanted[key] = KeyframeWanted(*key)
            sink.wanted_at = self.now

    def remind(self, source: Incoming, now: float) -> None:
        """Tells again of sinks that wait for long: for a first picture, another source or more spatial layers."""
        if source.paused:
            return
        for sink in source.waiting:
            if now - sink.wanted_at >= REMIND:
                self.want_keyframe(source, sink)
        if source.rates.top:
            for sink in source.live:
                if sink.wants_spatial(source.rates.top) and now - sink.wanted_at >= REMIND:
                    self.want_keyframe(source, sink)

    def wait(self, sink: Outgoing) -> None:
        """The sink starts, or switches, with the next key frame of what it is aimed at."""
        source = self.sources.get(sink.target)
        if source is not None:
            source.waiting.append(sink)
            if not source.paused:
                self.want_keyframe(source, sink)

    def detach(self, sink: Outgoing) -> None:
        """Neither gets packets nor waits for them."""
        self._stop_showing(sink)
        self._stop_waiting(sink)

    def _stop_showing(self, sink: Outgoing) -> None:
        source = self.sources.get(sink.source)
        if source is not None and sink in source.live:
            # A new list: the forwarding loop may be running over the old one.
            source.live = [other for other in source.live if other is not sink]
            sink.hold(source)

    def _stop_waiting(self, sink: Outgoing) -> None:
        source = self.sources.get(sink.target)
        if source is not None and sink in source.waiting:
            source.waiting = [other for other in source.waiting if other is not sink]
        self.wanted.pop((sink.target, sink.spec.id), None)

    def pause(self, sink: Outgoing, paused: bool) -> None:
        """A paused sink goes on, once it may, with a key frame."""
        if sink.paused != paused:
            sink.paused = paused
            if paused:
                self.detach(sink)
            else:
                self.wait(sink)

    def aim(self, sink: Outgoing, source: str, layers: Layers) -> None:
        """Another target, or other layers of it. Raises ValueError where it has another codec."""
        new, old = self.sources.get(source), self.sources.get(sink.source)
        if new is not None and old is not None and not sink.takes(new.spec.codec.name, old.spec.codec.name):
            raise ValueError(f"source {source} has another codec than sink {sink.spec.id} shows")
        if source != sink.target:
            self._stop_waiting(sink)
            sink.target = source
            if not sink.paused and (source != sink.source or not sink.live):
                self.wait(sink)
        if source != sink.source:
            sink.layers = layers  # of what it shows now it keeps those that it has
            return
        sink.limit(layers)
        if sink.live and old is not None and sink.wants_spatial(old.rates.top):
            self.want_keyframe(old, sink)

    def start(self, source: Incoming, packet: MediaPacket) -> list[Outgoing]:
        """Waiting sinks go live with this key frame, leaving what they showed."""
        starting = [sink for sink in source.waiting if not sink.is_past(packet, source)]
        source.waiting = [sink for sink in source.waiting if sink.is_past(packet, source)]
        for sink in starting:
            self._stop_showing(sink)
            if sink.source != source.spec.id:
                sink.source = source.spec.id
                self.switched[sink.spec.id] = SinkSwitched(sink.spec.id, sink.source)
            sink.begin(packet, source)
            sink.next_report = sink.transport.next_report = float("-inf")
            self.wanted.pop((source.spec.id, sink.spec.id), None)
        source.live = source.live + starting
        return starting

    def add_source(self, source: Incoming) -> None:
        """Sinks that are aimed at it begin to wait for it."""
        self.sources[source.spec.id] = source
        for sink in self.sinks.values():
            if sink.target == source.spec.id and not sink.paused:
                self.wait(sink)

    def remove_source(self, source: Incoming) -> None:
        """Sinks that show it stop where they are."""
        del self.sources[source.spec.id]
        for sink in self.sinks.values():
            sink.leave(source, self.now)
            self.wanted.pop((source.spec.id, sink.spec.id), None)

    def remove_sink(self, sink: Outgoing) -> None:
        """Nothing more is told of it."""
        del self.sinks[sink.spec.id]
        self.detach(sink)
        self.wanted.pop((sink.source, sink.spec.id), None)
        self.switched.pop(sink.spec.id, None)
