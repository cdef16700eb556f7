//! RTCP in and out, and what time brings; see `sfu/plane/python.py` and `sfu/plane/feedback.py`.

use crate::incoming::Incoming;
use crate::outbox::Outbox;
use crate::outgoing::Outgoing;
use crate::plane::Plane;
use crate::receive::{with_sending, Stop};
use crate::rtcp::{self, parse_compound, Packet, Report};
use crate::slab::{Key, Slab};
use crate::transport::Transport;

const INTERVAL: f64 = 1.0;
const ARRIVALS_EVERY: f64 = 0.05;
const NACKS_AT_ONCE: usize = 200;
const MOST_TOLD: f64 = 0.25;
const ALIVE: f64 = 2.0;

impl Plane {
    pub fn receive_rtcp(&mut self, owner_key: Key, data: &[u8], now: f64) -> Result<(), Stop> {
        for packet in parse_compound(data)? {
            match packet {
                Packet::Sender { ssrc, ntp, timestamp } => self.sender_report(owner_key, ssrc, ntp, timestamp, now),
                Packet::Report(report) => {
                    if let Some(sink) = self.sink_of(owner_key, report.ssrc).and_then(|key| self.sinks.get_mut(key)) {
                        sink.reported(&report, now);
                    }
                }
                Packet::Nack { media, sequences } => {
                    if let Some(sink) = self.sink_of(owner_key, media) {
                        self.resend(sink, &sequences, now);
                    }
                }
                Packet::Pli { media } => self.asked(owner_key, media),
                Packet::Fir { ssrcs } => {
                    for ssrc in ssrcs {
                        self.asked(owner_key, ssrc);
                    }
                }
                Packet::Feedback(message) => {
                    let Plane { transports, sinks, out, dropped, packets_out, .. } = self;
                    let Some(owner) = transports.get_mut(owner_key) else { continue };
                    if owner.sending.is_none() {
                        dropped.count("unwanted_feedback");
                        continue;
                    }
                    *packets_out +=
                        with_sending(owner, out, dropped, |sending, way| sending.feedback(way, sinks, &message, now));
                }
                Packet::Remb { bitrate } => {
                    if let Some(owner) = self.transports.get_mut(owner_key) {
                        owner.remb = Some(bitrate);
                    }
                }
                Packet::Bye { ssrcs } => {
                    for ssrc in ssrcs {
                        let key = self.transports.get(owner_key).and_then(|owner| owner.media.get(&ssrc));
                        if let Some(source) = key.and_then(|key| self.sources.get(*key)) {
                            self.ended.put(source.spec.id.clone(), ());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn sink_of(&self, owner: Key, ssrc: u32) -> Option<Key> {
        self.transports.get(owner)?.sinks_by_ssrc.get(&ssrc).copied()
    }

    fn sender_report(&mut self, owner: Key, ssrc: u32, ntp: u64, timestamp: u32, now: f64) {
        let Some(key) = self.transports.get(owner).and_then(|owner| owner.media.get(&ssrc)).copied() else { return };
        let Some(source) = self.sources.get_mut(key).filter(|source| source.numbering.started) else { return };
        let timestamp = source.numbering.unwrap_timestamp(timestamp);
        if source.report.is_none() {
            // Lip sync begins with the first report: do not wait.
            for sink in &source.live {
                let Some(sink) = self.sinks.get_mut(*sink) else { continue };
                sink.next_report = f64::NEG_INFINITY;
                if let Some(transport) = self.transports.get_mut(sink.transport) {
                    transport.next_report = f64::NEG_INFINITY;
                }
            }
        }
        source.reported(ntp, timestamp, now);
        let seconds = ntp as f64 / 4_294_967_296.0;
        self.reports.put(source.spec.id.clone(), (seconds, timestamp, now));
    }

    fn asked(&mut self, owner: Key, ssrc: u32) {
        let Some(key) = self.sink_of(owner, ssrc) else { return };
        let Some(sink) = self.sinks.get(key) else { return };
        let name = if sink.course.live { &sink.source } else { &sink.target };
        let Some(source) = self.source_names.get(name).copied() else { return };
        if !sink.paused && self.sources.get(source).is_some_and(|source| !source.paused) {
            self.want_keyframe(source, key);
        }
    }

    /// Timers. Call every 20 ms or so.
    pub fn tick(&mut self, now: f64) {
        self.now = now;
        for key in self.transports.order.clone() {
            let Some(transport) = self.transports.get(key) else { continue };
            for source_key in transport.sources.clone() {
                let Plane { transports, sources, out, .. } = self;
                let (Some(transport), Some(source)) = (transports.get_mut(key), sources.get_mut(source_key)) else {
                    continue;
                };
                if source.nack.is_some() {
                    send_nacks(transport, source, out, now);
                }
                if source.settle(now) && source.spec.video {
                    let due = source.pli.request(now);
                    send_pli(transport, source, out, due);
                }
                let due = source.pli.due(now);
                send_pli(transport, source, out, due);
                self.remind(source_key, now);
            }
            let Plane { transports, sources, sinks, out, dropped, packets_out, estimates, cname, .. } = self;
            let Some(transport) = transports.get_mut(key) else { continue };
            if transport.counted.is_some() {
                send_arrivals(transport, out, now);
            }
            if transport.sending.is_some() {
                *packets_out +=
                    with_sending(transport, out, dropped, |sending, way| sending.tick(way, sources, sinks, now));
            }
            if let Some(estimate) = transport.news(now) {
                estimates.put(transport.name.clone(), estimate);
            }
            transport.measure(sinks, now);
            let names = &self.source_names;
            let shown = |sink: &Outgoing| names.get(&sink.source).copied();
            send_reports(transport, sources, sinks, out, shown, cname, now);
        }
    }

    pub fn count_drop(&mut self, reason: &'static str) {
        self.dropped.count(reason);
    }
}

/// Asks for what is missing and due.
pub fn send_nacks(transport: &mut Transport, source: &mut Incoming, out: &mut Outbox, now: f64) {
    let (Some(nack), Some(ssrc)) = (&mut source.nack, source.ssrc) else { return };
    let sequences: Vec<u16> = nack.due(now).into_iter().map(|at| source.numbering.wire_sequence(at)).collect();
    for piece in sequences.chunks(NACKS_AT_ONCE) {
        source.nacks_sent += 1;
        let packet = rtcp::nack(transport.ssrc, ssrc, piece);
        transport.send_feedback(out, packet);
    }
}

/// Sends a PLI where the throttle says `now` and there is somebody to ask; otherwise it stays remembered.
pub fn send_pli(transport: &mut Transport, source: &mut Incoming, out: &mut Outbox, now: bool) -> bool {
    if !now {
        return false;
    }
    let Some(ssrc) = source.ssrc.filter(|_| !source.paused) else {
        source.pli.put_back();
        return false;
    };
    source.plis_sent += 1;
    let packet = rtcp::pli(transport.ssrc, ssrc);
    transport.send_feedback(out, packet);
    true
}

/// When the peer's packets came, for its own estimate of what it may send.
fn send_arrivals(transport: &mut Transport, out: &mut Outbox, now: f64) {
    if now >= transport.next_feedback && transport.arrivals.pending() {
        transport.next_feedback = now + ARRIVALS_EVERY;
        for message in transport.arrivals.feedback() {
            let packet = message.serialize(transport.ssrc, transport.newest_ssrc);
            transport.send_feedback(out, packet);
        }
    }
}

/// Once a second: reception of each source, what the publisher may send, and a sender report for each live sink.
fn send_reports(
    transport: &mut Transport,
    sources: &mut Slab<Incoming>,
    sinks: &mut Slab<Outgoing>,
    out: &mut Outbox,
    shown: impl Fn(&Outgoing) -> Option<Key>,
    cname: &str,
    now: f64,
) {
    if now < transport.next_report {
        return;
    }
    let mut packets = Vec::new();
    if !transport.sources.is_empty() && transport.reported_at.is_none_or(|at| now - at >= INTERVAL) {
        reception(transport, sources, sinks, cname, now, &mut packets);
    }
    // Nothing came yet: look again soon, for browsers take the first REMB, if it is early, as where to start from.
    let early = packets.is_empty() && !transport.sources.is_empty();
    let mut soonest = now + if early { 0.1 } else { INTERVAL };
    for (_, key) in &transport.sinks {
        let Some(sink) = sinks.get_mut(*key) else { continue };
        if now < sink.next_report {
            soonest = soonest.min(sink.next_report);
            continue;
        }
        let Some(source) = shown(sink).and_then(|key| sources.get(key)) else { continue };
        if let Some(report) = sink.sender_report(source, now) {
            sink.next_report = now + INTERVAL;
            packets.push(report);
            packets.push(rtcp::source_description(sink.spec.ssrc, &sink.spec.cname));
        }
    }
    transport.next_report = soonest;
    if !packets.is_empty() {
        transport.send_compound(out, &packets);
    }
}

/// The most that any listener loses of it, bounded.
fn worst_listener(source: &Incoming, sinks: &Slab<Outgoing>) -> f64 {
    if source.spec.extensions.transport_cc.is_none() {
        return 0.0;
    }
    let losses = source.live.iter().filter_map(|key| sinks.get(*key)).map(|sink| sink.fraction_lost);
    losses.fold(0.0, f64::max).min(MOST_TOLD)
}

fn reception(
    transport: &mut Transport,
    sources: &mut Slab<Incoming>,
    sinks: &Slab<Outgoing>,
    cname: &str,
    now: f64,
    packets: &mut Vec<Vec<u8>>,
) {
    let since = transport.reported_at;
    let mut reports: Vec<Report> = Vec::new();
    let mut ssrcs = Vec::new();
    let (mut expected, mut lost) = (0, 0);
    for key in &transport.sources {
        let Some(source) = sources.get_mut(*key) else { continue };
        let Some(ssrc) = source.ssrc.filter(|_| now - source.last_arrival <= ALIVE) else { continue };
        let highest = source.numbering.highest;
        let (wanted, missed) = source.reception.interval(highest);
        let loss = if wanted > 0 { missed as f64 / wanted as f64 } else { 0.0 };
        let told = if source.spec.video { loss } else { loss.max(worst_listener(source, sinks)) };
        reports.push(source.reception.report(ssrc, highest, source.numbering.wire_highest(), told, now));
        if source.spec.video {
            ssrcs.push(ssrc);
            expected += wanted;
            lost += missed;
        }
    }
    if reports.is_empty() {
        return;
    }
    let octets = std::mem::take(&mut transport.octets);
    transport.reported_at = Some(now);
    for piece in reports.chunks(rtcp::MAX_REPORTS) {
        packets.push(rtcp::receiver_report(transport.ssrc, piece));
    }
    packets.push(rtcp::source_description(transport.ssrc, cname));
    if ssrcs.is_empty() {
        return;
    }
    if let Some(since) = since.filter(|since| now > *since) {
        transport.rate.update(expected, lost, (octets * 8) as f64 / (now - since));
    }
    // A publisher that estimates for itself is told its cap only.
    let rate = if transport.counted.is_none() { transport.rate.estimate as u64 } else { transport.rate.cap as u64 };
    packets.push(rtcp::remb(transport.ssrc, rate, &ssrcs));
}
