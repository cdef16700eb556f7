//! How much one subscriber's path can take: a send-side estimator of the GCC family; see `sfu/bandwidth.py`.

use std::collections::VecDeque;

use crate::loss::{Counted, LossModel};
use crate::overuse::{Overuse, Usage};
use crate::sendlog::{Outcome, SendLog};
use crate::twcc::TransportFeedback;

pub const START: f64 = 1_000_000.0;
const FLOOR: f64 = 60_000.0;
const CEILING: f64 = 50_000_000.0;
const DECREASE: f64 = 0.85;
const GROWTH: f64 = 1.08;
const HEADROOM: f64 = 1.5;
const HEADROOM_BITS: f64 = 10_000.0;
const IDLE_DECREASE: f64 = 0.7;
const PROVEN: f64 = 0.5;
const DRAIN_QUEUE: f64 = 0.06;
const DRAINED: f64 = 0.03;
const SUDDEN_QUEUE: f64 = 0.1;
const DRAIN_TIME: f64 = 1.0;
const DRAIN_LEAST: f64 = 0.3;
const DRAIN_MOST: f64 = 2.0;
const STALL: f64 = 0.2;
const SILENCE: f64 = 1.0;
const SILENT_DECREASE: f64 = 0.8;
const RESPONSE: f64 = 0.1;
const ACKED_WINDOW: f64 = 0.4;

/// What arrives, over the last `ACKED_WINDOW` of the peer's clock.
#[derive(Default)]
pub struct AckedRate {
    packets: VecDeque<(f64, i64)>,
    octets: i64,
    since: Option<f64>,
}

impl AckedRate {
    fn arrived(&mut self, at: f64, size: i64) {
        while self.packets.front().is_some_and(|(first, _)| *first <= at - ACKED_WINDOW) {
            self.octets -= self.packets.pop_front().map_or(0, |(_, size)| size);
        }
        if self.packets.is_empty() {
            self.since = Some(at);
        }
        self.packets.push_back((at, size));
        self.octets += size;
    }

    /// 0 until there is enough to tell.
    pub fn rate(&self) -> f64 {
        let (Some((last, _)), Some(since)) = (self.packets.back(), self.since) else { return 0.0 };
        let passed = last - since;
        if passed >= 0.15 {
            (self.octets * 8) as f64 / ACKED_WINDOW.min(passed)
        } else {
            0.0
        }
    }

    /// The same over the last eighth of a second, for when the path all but stops.
    fn lately(&self) -> f64 {
        let (mut octets, mut start, mut count, mut first) = (0, 0.0, 0, 0);
        let end = self.packets.back().map_or(0.0, |(at, _)| *at);
        for (at, size) in self.packets.iter().rev() {
            if *at <= end - 0.125 && count > 3 {
                break;
            }
            (octets, start, count, first) = (octets + size, *at, count + 1, *size);
        }
        if count > 3 && end > start {
            ((octets - first) * 8) as f64 / (end - start)
        } else {
            0.0
        }
    }
}

/// What the path took whenever it was full: smoothed, with its spread.
struct Capacity {
    rate: f64,
    spread: f64,
}

impl Capacity {
    fn met(&mut self, rate: f64) {
        let kilobits = (rate / 1000.0).max(1.0);
        if self.rate == 0.0 {
            self.rate = rate;
            return;
        }
        let error = self.rate / 1000.0 - kilobits;
        self.rate = 0.95 * self.rate + 0.05 * rate;
        let spread = 0.95 * self.spread + 0.05 * error * error / (self.rate / 1000.0).max(1.0);
        self.spread = spread.max(0.4).min(2.5);
    }

    /// By how many deviations a rate is above (negative: below) what was known.
    fn away(&self, rate: f64) -> f64 {
        let kilobits = self.rate / 1000.0;
        (rate / 1000.0 - kilobits) / (self.spread * kilobits).sqrt().max(1.0)
    }

    fn forget(&mut self) {
        self.rate = 0.0;
        self.spread = 0.4;
    }
}

/// Additive and multiplicative increase, multiplicative decrease, on the verdicts of `Overuse`.
pub struct DelayRate {
    pub estimate: f64,
    pub overused_at: f64,
    capacity: Capacity,
    updated: Option<f64>,
    acted: f64,
    drain_since: Option<f64>,
    drain_to: f64,
    drain_first: f64,
    /// The estimate when the draining began.
    before: f64,
}

impl DelayRate {
    fn new() -> Self {
        DelayRate {
            estimate: START,
            overused_at: f64::NEG_INFINITY,
            capacity: Capacity { rate: 0.0, spread: 0.4 },
            updated: None,
            acted: f64::NEG_INFINITY,
            drain_since: None,
            drain_to: 0.0,
            drain_first: 0.0,
            before: START,
        }
    }

    fn update(&mut self, detector: &mut Overuse, acked: &AckedRate, round_trip: f64, now: f64) {
        let (mut arrives, lately) = (acked.rate(), acked.lately());
        let passed = self.updated.map_or(0.0, |at| (now - at).min(1.0));
        self.updated = Some(now);
        if self.drain_since.is_some_and(|since| self.drain(since, detector, round_trip, now)) {
            return;
        }
        let (usage, queue) = (detector.usage, detector.queue());
        if usage == Usage::Over {
            self.overused_at = now;
            if self.drain_since.is_some() && !detector.growing() && arrives > DECREASE * self.estimate {
                return; // as much arrives as may be sent: it drains, or there is no queue
            }
            if detector.standing() > SUDDEN_QUEUE && lately != 0.0 {
                arrives = arrives.min(lately);
            }
            if now - self.acted >= round_trip.max(0.01).min(0.2) || arrives < 0.5 * self.estimate {
                self.decrease(queue, arrives, now);
            }
            return;
        }
        if self.drain_since.is_some() {
            return;
        }
        if usage == Usage::Normal && now - self.acted > round_trip {
            self.increase(arrives, round_trip, passed);
            if queue < DRAINED && arrives > self.estimate && now - self.acted > PROVEN {
                self.estimate = arrives.min(CEILING);
            }
        }
    }

    fn decrease(&mut self, queue: f64, acked: f64, now: f64) {
        let acked = if acked == 0.0 { self.estimate } else { acked };
        self.acted = now;
        if queue < DRAIN_QUEUE && acked < 0.5 * self.estimate {
            self.estimate = (IDLE_DECREASE * self.estimate).max(DECREASE * acked);
            return;
        }
        if self.capacity.rate != 0.0 && self.capacity.away(acked).abs() > 3.0 {
            self.capacity.forget();
        }
        self.capacity.met(acked);
        let mut target = DECREASE * acked;
        if queue > DRAIN_QUEUE {
            if self.drain_since.is_none() {
                self.drain_since = Some(now);
                self.drain_to = target;
                self.drain_first = target;
                self.before = self.estimate;
            }
            self.drain_to = target.min(self.drain_to);
            target = target.min(acked * DRAIN_LEAST.max(1.0 - queue / DRAIN_TIME));
        }
        self.estimate = self.estimate.min(target);
    }

    /// Whether the draining has ended.
    fn drain(&mut self, since: f64, detector: &mut Overuse, round_trip: f64, now: f64) -> bool {
        let (passed, empty) = (now - since, detector.standing() <= DRAINED);
        if !empty && (passed <= DRAIN_MOST || detector.growing()) {
            return false;
        }
        self.drain_since = None;
        self.acted = now;
        let mut target = self.drain_to;
        if !empty {
            target = self.drain_first;
            detector.forget_base();
        } else if passed <= round_trip + STALL {
            target = DECREASE * self.before;
            self.capacity.forget();
            detector.settle();
        }
        self.estimate = self.estimate.max(target);
        true
    }

    fn increase(&mut self, acked: f64, round_trip: f64, passed: f64) {
        if self.capacity.rate != 0.0 && acked > self.capacity.rate && self.capacity.away(acked) > 3.0 {
            self.capacity.forget();
        }
        let grown = if self.capacity.rate != 0.0 {
            let frame = self.estimate / 30.0;
            let packet = frame / (frame / 9600.0).max(1.0);
            self.estimate + (packet / (round_trip + RESPONSE)).max(4000.0) * passed
        } else {
            self.estimate * GROWTH.powf(passed)
        };
        let limit = HEADROOM * acked + HEADROOM_BITS;
        self.estimate = self.estimate.max(grown.min(limit).min(CEILING));
    }

    fn probed(&mut self, rate: f64, now: f64) {
        if rate > self.estimate && self.drain_since.is_none() {
            self.estimate = rate.min(CEILING);
            self.acted = now;
            if rate > self.capacity.rate {
                self.capacity.forget();
            }
        }
    }

    fn silent(&mut self) {
        self.estimate = FLOOR.max(self.estimate * SILENT_DECREASE);
    }
}

/// One transport's estimator.
pub struct BandwidthEstimator {
    pub log: SendLog,
    pub round_trip: Option<f64>,
    /// Feedback messages that told something.
    pub messages: u64,
    pub acked: AckedRate,
    pub detector: Overuse,
    pub delay: DelayRate,
    pub loss: LossModel,
    heard_at: Option<f64>,
    silent_at: f64,
}

impl Default for BandwidthEstimator {
    fn default() -> Self {
        BandwidthEstimator {
            log: SendLog::default(),
            round_trip: None,
            messages: 0,
            acked: AckedRate::default(),
            detector: Overuse::default(),
            delay: DelayRate::new(),
            loss: LossModel::default(),
            heard_at: None,
            silent_at: 0.0,
        }
    }
}

impl BandwidthEstimator {
    pub fn estimate(&self) -> f64 {
        FLOOR.max(self.delay.estimate.min(self.loss.estimate))
    }

    /// A probe has shown that the path takes this much now; where it was `clean`, whatever was lost before.
    pub fn probed(&mut self, rate: f64, clean: bool, now: f64) {
        if clean && rate > self.estimate() {
            self.loss.forget();
        }
        self.delay.probed(rate, now);
    }

    pub fn feedback(&mut self, message: &TransportFeedback, now: f64) -> Outcome {
        let outcome = self.log.matched(message);
        let packets = outcome.arrivals.len() as i64 + outcome.lost;
        if packets == 0 {
            return outcome;
        }
        self.messages += 1;
        self.heard_at = Some(now);
        self.silent_at = now;
        let mut octets = outcome.lost_octets + outcome.untold;
        if let (true, Some(first)) = (outcome.untold > 0, outcome.arrivals.first()) {
            self.acked.arrived(first.arrived, outcome.untold);
        }
        for arrival in &outcome.arrivals {
            self.acked.arrived(arrival.arrived, arrival.size);
            self.detector.packet(arrival.sent, arrival.arrived);
            octets += arrival.size;
        }
        if !outcome.arrivals.is_empty() {
            let sample = (now - outcome.newest_sent).max(0.0);
            self.round_trip = Some(match self.round_trip {
                Some(known) if sample >= known => known + (sample - known) / 16.0,
                _ => sample,
            });
            let round_trip = self.round_trip.filter(|trip| *trip != 0.0).unwrap_or(0.2);
            self.delay.update(&mut self.detector, &self.acked, round_trip, now);
            let counted = Counted {
                packets: packets - outcome.late,
                lost: outcome.lost - outcome.late,
                octets,
                newest_sent: outcome.newest_sent,
            };
            self.loss.observe(&counted, self.acked.rate(), self.delay.estimate);
        }
        outcome
    }

    /// Where feedback has stopped while we send, less and less is taken for granted.
    pub fn tick(&mut self, now: f64) {
        if self.heard_at.is_none() || self.log.outstanding == 0 {
            self.silent_at = now;
        } else if now - self.silent_at > SILENCE.max(4.0 * self.round_trip.unwrap_or(0.0)) {
            self.silent_at = now;
            self.delay.silent();
        }
    }
}
