"""What is sent again to a viewer that asks as Chromium does, over a path that loses packets or lets them overtake."""

from __future__ import annotations

import heapq
import itertools
import random

import pytest

from sfu.rtcp import Nack, ReceiverReport, Report, SenderReport, parse_compound
from sfu.rtp import RtpPacket, is_rtcp
from sfu.twcc import ArrivalRecorder
from tests.sfu.congestion.test_plane import PAYLOAD, number_of, start
from tests.sfu.packets.conftest import kit, net, net_factory, plane

__all__ = ["kit", "net", "net_factory", "plane"]


class Requester:
    """When Chromium asks again: modules/video_coding/nack_requester.cc. A gap at once, or where packets overtake each
    other as soon as half of them would have come; what was asked for again after a round trip, which a page that only
    receives takes for 100 ms."""

    ROUND_TRIP, TRIES = 0.1, 10

    def __init__(self):
        self.newest = None
        self.missing = {}  # number: newest number at which to ask, asked at, tries
        self.late = []

    def received(self, number, again):
        if self.newest is None:
            self.newest = number
        elif number <= self.newest:
            if self.missing.pop(number, None) is not None and not again:
                self.late = [*self.late[-127:], self.newest - number]
        else:
            patience = sorted(self.late)[len(self.late) // 2] if self.late else 0
            for gap in range(self.newest + 1, number):
                self.missing[gap] = (gap + 1 + patience, None, 0)
            self.newest = number
        return self.due(lambda at, asked: asked is None and self.newest >= at, None)

    def tick(self, now):
        return self.due(lambda at, asked: asked is not None and asked + self.ROUND_TRIP <= now, now)

    def due(self, wanted, now):
        numbers = [n for n, (at, asked, _) in sorted(self.missing.items()) if wanted(at, asked)]
        for number in numbers:
            at, _, tries = self.missing[number]
            self.missing[number] = (at, now, tries + 1)
            if tries + 1 >= self.TRIES:
                del self.missing[number]
        return numbers

    def asked(self, numbers, now):
        for number in numbers:
            if number in self.missing:
                at, _, tries = self.missing[number]
                self.missing[number] = (at, now, tries)


class Path:
    """Packets on their way, each with a delay of its own."""

    def __init__(self, delay, jitter, loss, dice):
        self.delay, self.jitter, self.loss, self.dice = delay, jitter, loss, dice
        self.entries, self.serial = [], itertools.count()

    def send(self, item, now):
        """When it arrives; None where it is lost."""
        if self.dice.random() < self.loss:
            return None
        at = now + self.delay + self.dice.uniform(-self.jitter, self.jitter)
        heapq.heappush(self.entries, (at, next(self.serial), item))
        return at

    def arrived(self, now):
        while self.entries and self.entries[0][0] <= now:
            yield heapq.heappop(self.entries)[::2]


class Tale:
    """A meeting: `requests` are NACK messages, `asked` the numbers in them, `repaired` the seconds from a gap to its
    end; `left` has for each number when its retransmissions left, and when each arrived (None: never)."""

    def __init__(self):
        self.requests = self.asked = 0
        self.left = {}
        self.repaired = []

    @property
    def resent(self):
        return sum(map(len, self.left.values()))

    def within(self, seconds):
        """Retransmissions so soon after the one before."""
        times = [[at for at, _ in sent] for sent in self.left.values()]
        return sum(b - a < seconds for sent in times for a, b in itertools.pairwise(sent))

    def needless(self):
        """Retransmissions of what an earlier one has brought or will."""
        return sum(any(at is not None for _, at in sent[:n]) for sent in self.left.values() for n in range(len(sent)))


class Viewer:
    """Far end of both paths: keeps count of what it got, asks, tells when packets came and how many it lost."""

    def __init__(self, peer, down, up, tale):
        self.peer, self.down, self.up, self.tale = peer, down, up, tale
        self.now = 0.0
        self.asks, self.recorder = Requester(), ArrivalRecorder()
        self.base = None
        self.gaps = {}
        self.had = set()
        self.report = (0, 0.0)
        self.got = self.expected = 0
        peer.take = self.take

    def take(self, datagram):
        """It leaves the plane."""
        if is_rtcp(datagram):
            self.down.send(parse_compound(self.peer.rx.unprotect_rtcp(datagram)), self.now)
            return
        packet = RtpPacket.parse(self.peer.rx.unprotect(datagram))
        at = self.down.send(packet, self.now)
        if packet.ssrc == 5001 and len(packet.payload) > 2:
            self.tale.left.setdefault(int.from_bytes(packet.payload[:2], "big"), []).append((self.now, at))

    def arrive(self, packet, at):
        self.recorder.received(number_of(packet), at)
        if packet.ssrc not in (5000, 5001) or len(packet.payload) <= 2:
            return []
        again = packet.ssrc == 5001
        wire = int.from_bytes(packet.payload[:2], "big") if again else packet.sequence
        self.base = wire if self.base is None else self.base
        number = ((wire - self.base + 0x8000) & 0xFFFF) - 0x8000
        newest = self.asks.newest if self.asks.newest is not None else number
        for gap in range(newest + 1, number):
            self.gaps[gap] = at
        if number in self.gaps and number not in self.had and again:
            self.tale.repaired.append(at - self.gaps[number])
        self.had.add(number)
        self.got += not again
        return self.asks.received(number, again)

    def step(self, step, now):
        self.now = now
        wanted = []
        for at, item in self.down.arrived(now):
            if isinstance(item, RtpPacket):
                wanted += self.arrive(item, at)
                continue
            for told in item:
                if isinstance(told, SenderReport) and told.ssrc == 5000:
                    self.report = (told.ntp >> 16 & 0xFFFFFFFF, at)
        if step % 20 == 7:
            wanted += self.asks.tick(now)
        if wanted:
            self.asks.asked(wanted, now)
            self.tale.requests += 1
            self.tale.asked += len(wanted)
            wire = tuple((number + self.base) & 0xFFFF for number in sorted(wanted))
            self.up.send([ReceiverReport(1), Nack(1, 5000, wire)], now)
        if step % 100 == 50:
            for message in self.recorder.feedback(1, 0):
                self.up.send([message], now)
        if step % 1000 == 300 and self.report[0]:
            expected = self.asks.newest + 1 - self.expected
            lost = max(0.0, 1 - self.got / expected)
            self.expected, self.got = self.asks.newest + 1, 0
            delay = int((now - self.report[1]) * 65536)
            block = Report(5000, lost, 0, 1, 1, self.report[0], delay)
            self.up.send([ReceiverReport(1, (block,))], now)
        for _, packets in self.up.arrived(now):
            self.peer.send_rtcp(now, *packets)


def watch(net, plane, kit, trip, jitter=0.0, loss=0.0, seconds=15.0, rate=1_200_000, seed=1):
    """A viewer of one video; times in seconds."""
    dice, tale = random.Random(seed), Tale()
    publisher, subscriber = start(net, plane, kit)
    viewer = Viewer(subscriber, Path(trip / 2, jitter, loss, dice), Path(trip / 2, jitter, loss, dice), tale)
    plane.set_wanted_bitrate("s", 0.0)  # no probing: what the retransmission stream carries was asked for
    number, level = 1, 0.0
    for step in range(round(seconds * 1000)):
        now = 0.1 + step / 1000
        viewer.now = now
        if step % 33 == 0:
            level += rate * 0.033 / 8
            while level > 0:
                number += 1
                publisher.send(kit.packet(number, PAYLOAD, timestamp=step * 90), now)
                level -= len(PAYLOAD)
        if step % 20 == 0:
            publisher.send(kit.opus(step // 20), now)
            plane.tick(now)
            plane.drain()
        if step % 1000 == 500:
            publisher.send_rtcp(now, SenderReport(2222, int((now + 3e9) * 2**32), step * 90, 1, 2))
        viewer.step(step, now)
    assert plane.sink_stats("sink").retransmissions_sent == tale.resent
    return tale


def test_what_only_overtook_each_other_is_sent_again_once(net, plane, kit):
    tale = watch(net, plane, kit, 0.08, jitter=0.03)
    assert tale.requests < tale.asked, "one message asks for several"
    assert tale.resent == len(tale.left) > 300


def test_on_a_long_path_nothing_is_sent_again_while_it_is_on_its_way(net, plane, kit):
    """Chromium asks every 100 ms, whatever the round trip is: of 269 retransmissions here 152 were needless."""
    tale = watch(net, plane, kit, 0.25, loss=0.05)
    assert tale.asked > 3 * len(tale.left)
    assert tale.within(0.25) <= 3 and tale.needless() <= 3
    assert tale.resent <= 1.15 * len(tale.left)


def test_ten_percent_loss_is_repaired_as_soon_as_before(net, plane, kit):
    tale = watch(net, plane, kit, 0.05, loss=0.1)
    repaired = sorted(tale.repaired)
    assert len(repaired) > 150
    assert repaired[len(repaired) // 2] < 0.06 and repaired[int(0.95 * len(repaired))] < 0.2
    assert tale.resent <= 1.4 * len(tale.left), "second copies of what was lost twice among them"


def test_a_viewer_that_asks_all_the_time_gets_a_packet_once_a_round_trip(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for second in range(4):
        publisher.send_rtcp(second, SenderReport(2222, (second + 1) << 32, second * 90_000, 1, 2))
        plane.tick(second + 0.01)
        told = subscriber.got(SenderReport)[-1]
        report = Report(5000, 0.0, 0, 1, 1, told.ntp >> 16 & 0xFFFFFFFF, 0)
        subscriber.send_rtcp(second + 0.31, ReceiverReport(1, (report,)))
        publisher.send(kit.packet(2 + second, timestamp=second * 90_000), second + 0.5)
    wanted = subscriber.rtp[-1].sequence
    for step in range(50):
        subscriber.send_rtcp(4 + step * 0.02, Nack(1, 5000, (wanted,)))
    assert plane.sink_stats("sink").round_trip == pytest.approx(0.3)
    assert plane.sink_stats("sink").retransmissions_sent == 4


def test_what_the_budget_refused_may_be_asked_for_again_at_once(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 200):
        publisher.send(kit.packet(n, PAYLOAD), 0.1 + n * 0.005)
    subscriber.send_rtcp(1.1, *ArrivalsOf(subscriber).told())
    numbers = tuple(packet.sequence for packet in subscriber.rtp if packet.ssrc == 5000)[-150:]
    sent = []
    for step in range(40):
        subscriber.send_rtcp(1.2 + step * 0.05, Nack(1, 5000, numbers))
        sent.append(plane.sink_stats("sink").retransmissions_sent)
    assert 0 < sent[0] < 150 and plane.stats().dropped["repair_budget"] > 0
    assert sent[10] > sent[0] + 20, "as the budget grows what was refused is taken first"


class ArrivalsOf:
    """Feedback that all of a peer's packets came as they left."""

    def __init__(self, peer):
        self.recorder = ArrivalRecorder()
        for n, packet in enumerate(packet for packet in peer.rtp if number_of(packet) is not None):
            self.recorder.received(number_of(packet), 1 + n * 0.005)

    def told(self):
        return self.recorder.feedback(1, 0)
