"""Counters and gauges for operators, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from captioning.config import CaptionStatus
from recorder.storage.shelf import Standing
from sfu.interface import SfuStats
from signaling.fared import Report

LATENCIES_S = (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60)


class _Live(Collector):
    """What is read at the moment of asking."""

    def __init__(
        self,
        sfu: Callable[[], SfuStats],
        captions: Callable[[], CaptionStatus],
        rooms: Callable[[], tuple[int, int, int]],
        storage: Callable[[], Standing],
        audience: Callable[[], tuple[int, int]],
    ) -> None:
        self._sfu, self._captions, self._rooms, self._storage = sfu, captions, rooms, storage
        self._audience = audience

    def collect(self) -> Iterable[Metric]:
        rooms, people, waiting = self._rooms()
        stats, words = self._sfu(), self._captions()
        gauges = {
            "rooms": ("Meetings running.", rooms),
            "people": ("People in rooms.", people),
            "waiting": ("People in lobbies.", waiting),
            "connections": ("Media connections.", stats.connections),
            "tracks": ("Tracks published.", stats.tracks),
            "forwards": ("Streams sent.", stats.forwards),
            "viewers": ("People who are sent anything.", stats.viewers),
            "reduced_viewers": ("Viewers who get less than they show for want of bandwidth.", stats.reduced_viewers),
            "tcp_connections": ("Media connections over TCP.", stats.tcp_connections),
            "caption_lag_seconds": ("How far the words are behind the voices.", words.lag_ms / 1000),
            "caption_queue": ("Work waiting for caption workers.", words.queue),
            "caption_streams": ("Voices being recognised.", words.streams),
            "captions_ready": ("1 while words can be had.", float(words.state in ("ready", "overloaded"))),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"consilium_{name}", text, value=value)
        yield CounterMetricFamily("consilium_packets_in", "Media packets received.", value=stats.packets_in)
        yield CounterMetricFamily("consilium_packets_out", "Media packets sent.", value=stats.packets_out)
        dropped = CounterMetricFamily("consilium_dropped", "Datagrams refused, by reason.", labels=["reason"])
        for reason, count in stats.dropped.items():
            dropped.add_metric([reason], count)
        yield dropped
        yield from _layers(stats)
        pages = GaugeMetricFamily("consilium_broadcast_viewers", "Pages that follow broadcasts.", labels=["tier"])
        for tier, count in zip(("realtime", "hls"), self._audience(), strict=True):
            pages.add_metric([tier], count)
        yield pages
        kept = self._storage()
        yield GaugeMetricFamily("consilium_storage_away", "1 while the bucket cannot be reached.", value=kept.away)
        yield GaugeMetricFamily("consilium_storage_waiting_bytes", "Yet to go to the bucket.", value=kept.waiting)
        yield CounterMetricFamily("consilium_storage_uploaded_bytes", "Gone to the bucket.", value=kept.uploaded)
        yield CounterMetricFamily("consilium_storage_failures", "Uploads that were put off.", value=kept.failures)
        events = CounterMetricFamily("consilium_captions", "What happened to words.", labels=["event"])
        for event, count in words.counters.items():
            events.add_metric([event], count)
        yield events


_LAYER_GAUGES = (
    ("layer_sources", "Encodings received now, by source and layer.", "sources"),
    ("layer_sinks", "Streams sent that show the layer now.", "sinks"),
    ("layer_bitrate", "Bit/s received.", "bitrate"),
)
_LAYER_COUNTERS = (
    ("layer_packets", "Packets received.", "packets"),
    ("layer_lost", "Packets from publishers given up on.", "lost"),
    ("layer_retransmissions", "Packets that publishers sent again.", "retransmissions"),
    ("layer_keyframes", "Key frames received.", "keyframes"),
    ("layer_keyframe_requests", "Key frames asked for.", "keyframe_requests"),
)


def _layers(stats: SfuStats) -> Iterable[Metric]:
    """By kind of source and layer, never by person, so that the number of series is bounded."""
    for name, text, field in _LAYER_GAUGES:
        gauge = GaugeMetricFamily(f"consilium_{name}", text, labels=["source", "layer"])
        for labels, layer in stats.layers.items():
            gauge.add_metric(labels, getattr(layer, field))
        yield gauge
    for name, text, field in _LAYER_COUNTERS:
        counter = CounterMetricFamily(f"consilium_{name}", text, labels=["source", "layer"])
        for labels, layer in stats.layers.items():
            counter.add_metric(labels, getattr(layer, field))
        yield counter


class Metrics:
    """One registry per server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"consilium_{name}", text, labels, registry=self.registry)

        self.joins = counter("joins", "People who came in.")
        self.resumes = counter("resumes", "Sockets taken up again.")
        self.messages = counter("messages", "WebSocket messages received, by type.", "type")
        self.errors = counter("errors", "Requests refused on a WebSocket, by code.", "code")
        self.turned = counter("turned_away", "WebSockets ended by the server, by reason.", "reason")
        self.grants = counter("grants_refused", "Grants refused, by reason.", "reason")
        self.http_refused = counter("http_refused", "HTTP requests refused, by code.", "code")
        self.recordings = counter("recordings", "Recordings, by what happened.", "event")
        self._watched = counter("viewer_watched_seconds", "That viewers of broadcasts report to have watched.", "tier")
        self._stalls = counter("viewer_stalls", "How often picture or sound stood still for viewers.", "tier")
        self._stalled = counter("viewer_stalled_seconds", "How long of what they watched it did.", "tier")
        self._latency = Histogram(
            "consilium_viewer_latency_seconds",
            "How far viewers are behind the stage, by their reports.",
            ["tier"],
            buckets=LATENCIES_S,
            registry=self.registry,
        )

    def fared(self, report: Report) -> None:
        """What a viewer's page reports; of whom is told to nobody."""
        self._watched.labels(report.tier).inc(report.watched_ms / 1000)
        self._stalls.labels(report.tier).inc(report.stalls)
        self._stalled.labels(report.tier).inc(report.stalled_ms / 1000)
        if report.latency_ms is not None:
            self._latency.labels(report.tier).observe(report.latency_ms / 1000)

    def watch(
        self,
        sfu: Callable[[], SfuStats],
        captions: Callable[[], CaptionStatus],
        rooms: Callable[[], tuple[int, int, int]],
        storage: Callable[[], Standing] = Standing,
        audience: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        """Adds what is read from the running parts; `rooms` gives meetings, people, waiting; `audience` how many follow
        broadcasts by WebRTC and by HLS."""
        self.registry.register(_Live(sfu, captions, rooms, storage, audience))

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self.registry)
