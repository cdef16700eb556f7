//! The sending side of a transport whose peer tells when packets arrive: numbering, pacing, estimating, probing; see
//! `sfu/plane/sending.py`. Methods give the number of packets that have left.

use crate::bandwidth::BandwidthEstimator;
use crate::course::{Body, Placed};
use crate::history::MediaPacket;
use crate::incoming::Incoming;
use crate::outbox::Outbox;
use crate::outgoing::Outgoing;
use crate::overuse::Usage;
use crate::pacer::{Class, Pacer};
use crate::plane::Dropped;
use crate::probing::{Path, Prober};
use crate::rtp::be16;
use crate::slab::{Key, Slab};
use crate::transport::Transport;
use crate::twcc::TransportFeedback;

const OVERHEAD: usize = 40;
const LEAST_REPEATED: usize = 500;
const REPEATABLE: i64 = 64;
const PADDING: i64 = 255;
const MOST_LOSS: f64 = 0.5;
const REPAIR_SHARE: f64 = 0.35;
const REPAIR_BURST: f64 = 0.5;
const LEAST_REPAIR: f64 = 6000.0;
const SETTLING: f64 = 1.0;

/// A packet that waits to leave, sealed and numbered only then. `number` is the sink's own, -1 if a repetition.
struct Held {
    sink: Key,
    number: i64,
    number_at: usize,
    slot: usize,
    header: usize,
    data: Vec<u8>,
}

/// Where packets go: everything of a transport but its `Sending`, and what they are counted by.
pub struct Way<'a> {
    pub transport: &'a mut Transport,
    pub out: &'a mut Outbox,
    pub dropped: &'a mut Dropped,
}

pub struct Sending {
    pub estimator: BandwidthEstimator,
    prober: Prober,
    /// Bytes of RTP that have left.
    pub octets: u64,
    pacer: Pacer<Held>,
    repeated: i64,
    repairs: f64,
    repairs_at: f64,
    heard_at: Option<f64>,
}

impl Default for Sending {
    fn default() -> Self {
        let estimator = BandwidthEstimator::default();
        let pacer = Pacer::new(estimator.estimate());
        Sending {
            estimator,
            prober: Prober::default(),
            octets: 0,
            pacer,
            repeated: 0,
            repairs: LEAST_REPAIR,
            repairs_at: 0.0,
            heard_at: None,
        }
    }
}

impl Sending {
    /// Whether the peer has told anything so far.
    pub fn heard(&self) -> bool {
        self.estimator.messages > 0
    }

    fn repairs_cost(&self) -> f64 {
        1.0 - MOST_LOSS.min(self.estimator.loss.loss)
    }

    /// Of the estimate, what is left for media beside the retransmissions that loss makes necessary.
    pub fn available(&self) -> f64 {
        self.estimator.estimate() * self.repairs_cost()
    }

    /// Whether the estimate is worth telling.
    pub fn settled(&self, now: f64) -> bool {
        let Some(heard_at) = self.heard_at.filter(|_| self.estimator.acked.rate() != 0.0) else { return false };
        let tried = self.prober.successes + self.prober.failures > 0 && self.prober.idle();
        tried || self.estimator.delay.overused_at > 0.0 || now - heard_at > SETTLING
    }

    pub fn delay(&self, now: f64) -> f64 {
        self.pacer.delay(now)
    }

    // --- packets ---

    pub fn media(
        &mut self,
        way: &mut Way,
        sink: &mut Outgoing,
        packet: &MediaPacket,
        placed: &Placed,
        now: f64,
    ) -> u64 {
        let number = placed.number;
        let payload = if placed.body == Body::Empty { 0 } else { packet.payload.len() };
        sink.newest = number;
        sink.not_abandoned(number);
        sink.packets += 1;
        sink.octets += payload as u64;
        let size = payload + OVERHEAD;
        if sink.video && packet.keyframe && self.pacer.count > 0 {
            self.forgo(sink);
        }
        let kind = if sink.video { Class::Video } else { Class::Audio };
        if self.admit(kind, size, now) {
            let counted = if sink.extensions.number_at() > 0 { self.count(size, now) } else { 0 };
            let start = way.out.arena.len();
            let header = sink.render(&mut way.out.arena, packet, placed, now, counted);
            let slot = sink.slot;
            return self.leave(way, Some((sink, number)), slot, start, header);
        }
        let mut data = Vec::new();
        let header = sink.render(&mut data, packet, placed, now, 0);
        let number_at = sink.extensions.number_at();
        self.hold(way, kind, size, Held { sink: sink.key, number, number_at, slot: sink.slot, header, data }, now)
    }

    /// A retransmission, rendered, its payload after `header` bytes.
    pub fn again(&mut self, way: &mut Way, sink: &mut Outgoing, data: Vec<u8>, header: usize, now: f64) -> u64 {
        let size = data.len();
        if self.heard() && !self.may_repair(size, now) {
            way.dropped.count("repair_budget");
            return 0;
        }
        sink.retransmissions += 1;
        let number_at = sink.extensions.number_at();
        let held = Held { sink: sink.key, number: -1, number_at, slot: sink.rtx_slot, header, data };
        if self.admit(Class::Retransmission, size, now) {
            return self.leave_held(way, None, held, now);
        }
        self.hold(way, Class::Retransmission, size, held, now)
    }

    /// The very bytes go out again, transport sequence number and all.
    pub fn repeated(&mut self, sink: &Outgoing, sealed: &[u8]) {
        let at = sink.extensions.number_at();
        if at > 0 {
            self.estimator.log.repeated(be16(sealed, at));
        }
    }

    fn may_repair(&mut self, size: usize, now: f64) -> bool {
        let rate = REPAIR_SHARE * self.estimator.estimate() / 8.0;
        let gained = (now - self.repairs_at) * rate;
        self.repairs = LEAST_REPAIR.max(REPAIR_BURST * rate).min(self.repairs + gained);
        self.repairs_at = now;
        if self.repairs < size as f64 {
            return false;
        }
        self.repairs -= size as f64;
        true
    }

    /// A key frame comes: what still waits of the pictures before it would only delay it.
    fn forgo(&mut self, sink: &mut Outgoing) {
        let key = sink.key;
        for held in self.pacer.discard(|held| held.sink == key) {
            if held.number >= 0 {
                sink.abandon(held.number);
            }
        }
    }

    fn admit(&mut self, kind: Class, size: usize, now: f64) -> bool {
        !self.heard() || self.pacer.admit(kind, size, now)
    }

    fn hold(&mut self, way: &mut Way, kind: Class, size: usize, held: Held, now: f64) -> u64 {
        if !self.pacer.hold(kind, size, held, now) {
            way.dropped.count("pacer");
        }
        0
    }

    /// The transport sequence number of a packet that leaves now.
    fn count(&mut self, size: usize, now: f64) -> u16 {
        let cluster = self.prober.cluster.as_ref().map(|cluster| cluster.number);
        if cluster.is_some() {
            self.prober.sent(size, now);
        }
        self.estimator.log.sent(size, now, cluster.unwrap_or(0)) as u16
    }

    fn leave_held(&mut self, way: &mut Way, sink: Option<&mut Outgoing>, mut held: Held, now: f64) -> u64 {
        if held.number_at > 0 {
            let counted = self.count(held.data.len(), now);
            held.data[held.number_at..held.number_at + 2].copy_from_slice(&counted.to_be_bytes());
        }
        let start = way.out.arena.len();
        way.out.arena.extend_from_slice(&held.data);
        self.leave(way, sink.map(|sink| (sink, held.number)), held.slot, start, held.header)
    }

    /// Seals what the arena has from `start` on; kept by the sink where that needs it.
    fn leave(
        &mut self,
        way: &mut Way,
        kept: Option<(&mut Outgoing, i64)>,
        slot: usize,
        start: usize,
        header: usize,
    ) -> u64 {
        if let Err(refusal) = way.transport.srtp.seal_rtp(slot, &mut way.out.arena, start, header) {
            way.out.arena.truncate(start);
            way.dropped.count(refusal.name());
            return 0;
        }
        let mut picture = true; // retransmissions and padding have a stream of pictures
        if let Some((sink, number)) = kept {
            sink.keep(number, &way.out.arena[start..]);
            picture = sink.video;
        }
        self.octets += (way.out.arena.len() - start) as u64;
        way.out.commit(way.transport.route, way.transport.index, picture, start);
        1
    }

    // --- feedback and time ---

    pub fn feedback(
        &mut self,
        way: &mut Way,
        sinks: &mut Slab<Outgoing>,
        message: &TransportFeedback,
        now: f64,
    ) -> u64 {
        let outcome = self.estimator.feedback(message, now);
        let shown = self.prober.outcome(&outcome, self.estimator.detector.usage == Usage::Over, now);
        if self.heard_at.is_none() && self.heard() {
            self.heard_at = Some(now);
        }
        if let Some(shown) = shown {
            self.estimator.probed(shown, self.prober.clean, now);
        }
        self.pacer.set_estimate(self.estimator.estimate());
        self.release(way, sinks, now)
    }

    pub fn tick(&mut self, way: &mut Way, sources: &Slab<Incoming>, sinks: &mut Slab<Outgoing>, now: f64) -> u64 {
        self.estimator.tick(now);
        self.pacer.set_estimate(self.estimator.estimate());
        let mut left = self.release(way, sinks, now);
        if !self.heard() {
            return left;
        }
        let path = Path {
            estimate: self.estimator.estimate(),
            wanted: way.transport.wanted_bitrate / self.repairs_cost(),
            overused_at: self.estimator.delay.overused_at,
            round_trip: self.estimator.round_trip.unwrap_or(0.0),
            jitter: self.estimator.detector.jitter,
        };
        if !self.prober.due(&path, now) {
            return left;
        }
        let number = self.prober.cluster.as_ref().map(|cluster| cluster.number);
        while let Some(cluster) = self.prober.cluster.as_ref().filter(|cluster| Some(cluster.number) == number) {
            if cluster.due(now) <= 0 {
                break;
            }
            let size = cluster.packet();
            let padded = self.pad(way, sources, sinks, size, now);
            left += padded;
            if padded == 0 {
                self.prober.stop(now);
            }
        }
        left
    }

    fn release(&mut self, way: &mut Way, sinks: &mut Slab<Outgoing>, now: f64) -> u64 {
        let mut left = 0;
        for held in self.pacer.release(now) {
            if held.number < 0 {
                left += self.leave_held(way, None, held, now);
            } else if let Some(sink) = sinks.get_mut(held.sink).filter(|sink| sink.course.live) {
                left += self.leave_held(way, Some(sink), held, now);
            }
        }
        left
    }

    /// A packet that carries nothing new: one sent before where it should be large, else bytes that mean nothing.
    fn pad(&mut self, way: &mut Way, sources: &Slab<Incoming>, sinks: &mut Slab<Outgoing>, size: i64, now: f64) -> u64 {
        let found = way.transport.sinks.iter().find(|(_, key)| sinks.get(*key).is_some_and(Outgoing::pads));
        let Some(sink) = found.and_then(|(_, key)| sinks.get_mut(*key)) else { return 0 };
        let mut data = Vec::new();
        let repeated =
            if size >= LEAST_REPEATED as i64 { self.repetition(sink, sources, &mut data, now) } else { None };
        let header = repeated.unwrap_or_else(|| sink.render_padding(&mut data, PADDING.min(size) as usize, now));
        self.pacer.spent(data.len(), now);
        let (number_at, slot) = (sink.extensions.number_at(), sink.rtx_slot);
        let held = Held { sink: sink.key, number: -1, number_at, slot, header, data };
        self.leave_held(way, None, held, now)
    }

    fn repetition(
        &mut self,
        sink: &mut Outgoing,
        sources: &Slab<Incoming>,
        out: &mut Vec<u8>,
        now: f64,
    ) -> Option<usize> {
        self.repeated = (self.repeated + 1) % REPEATABLE;
        for back in self.repeated..self.repeated + 8 {
            let number = sink.newest - back % REPEATABLE;
            if number < 0 {
                continue;
            }
            let highest = sink.course.fed_by().and_then(|key| sources.get(key)).map(|source| source.numbering.highest);
            let Some(origin) = sink.course.origin(number, highest) else { continue };
            let Some(feed) = sink.course.feed(origin.feed) else { continue };
            let packet = sources.get(feed.source).and_then(|source| source.history.get(origin.sequence));
            let Some(packet) = packet.filter(|packet| packet.payload.len() >= LEAST_REPEATED) else { continue };
            let (marker, body) = feed.late(packet, origin.pictures);
            let (numbers, time_offset, depends) = (feed.numbers, feed.time_offset, feed.depends(packet));
            let placed = Placed { number, marker, body };
            return Some(sink.render_rtx(out, packet, &placed, numbers, time_offset, depends, now));
        }
        None
    }
}
