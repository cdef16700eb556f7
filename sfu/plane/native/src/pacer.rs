//! When packets may leave: a leaky bucket; see `sfu/pacer.py`.

use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Audio = 0,
    Retransmission = 1,
    Video = 2,
}

const FACTOR: f64 = 2.5;
const BURST: f64 = 0.04;
const LEAST_BURST: f64 = 12_000.0;
const DRAIN: f64 = 0.5;
const MOST_PACKETS: usize = 1024;
const MOST_OCTETS: usize = 1_500_000;

struct Waiting<P> {
    since: f64,
    size: usize,
    packet: P,
}

/// `admit` for each packet; those that it keeps come out of `release`. Sizes in bytes, rates in bit/s.
pub struct Pacer<P> {
    queues: [VecDeque<Waiting<P>>; 3],
    level: f64,
    rate: f64,
    updated: f64,
    pub count: usize,
    octets: usize,
}

impl<P> Pacer<P> {
    pub fn new(estimate: f64) -> Self {
        Pacer {
            queues: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            level: 0.0,
            rate: estimate * FACTOR / 8.0,
            updated: 0.0,
            count: 0,
            octets: 0,
        }
    }

    pub fn set_estimate(&mut self, estimate: f64) {
        self.rate = (estimate * FACTOR / 8.0).max(1.0);
    }

    /// How long the oldest packet has waited.
    pub fn delay(&self, now: f64) -> f64 {
        self.queues
            .iter()
            .filter_map(|queue| queue.front())
            .map(|waiting| now - waiting.since)
            .reduce(f64::max)
            .unwrap_or(0.0)
    }

    fn leak(&mut self, now: f64) -> f64 {
        let rate = self.rate.max(self.octets as f64 / DRAIN);
        if now > self.updated {
            self.level = (self.level - (now - self.updated) * rate).max(0.0);
            self.updated = now;
        }
        LEAST_BURST.max(rate * BURST) - self.level
    }

    /// Whether the packet may leave now (it is counted then); else `hold` it.
    pub fn admit(&mut self, kind: Class, size: usize, now: f64) -> bool {
        if kind != Class::Audio {
            if self.count > 0 && self.queues[..=kind as usize].iter().any(|queue| !queue.is_empty()) {
                return false;
            }
            if self.leak(now) <= 0.0 {
                return false;
            }
        } else {
            self.leak(now);
        }
        self.level += size as f64;
        true
    }

    /// Keeps a packet for `release`; false where the queue is full: it is lost.
    pub fn hold(&mut self, kind: Class, size: usize, packet: P, now: f64) -> bool {
        if self.count >= MOST_PACKETS || self.octets + size > MOST_OCTETS {
            return false;
        }
        self.queues[kind as usize].push_back(Waiting { since: now, size, packet });
        self.count += 1;
        self.octets += size;
        true
    }

    /// What may leave by now, in order.
    pub fn release(&mut self, now: f64) -> Vec<P> {
        let mut out = Vec::new();
        if self.count == 0 {
            return out;
        }
        let mut room = self.leak(now);
        for queue in &mut self.queues {
            while room > 0.0 {
                let Some(waiting) = queue.pop_front() else { break };
                self.level += waiting.size as f64;
                room -= waiting.size as f64;
                self.count -= 1;
                self.octets -= waiting.size;
                out.push(waiting.packet);
            }
        }
        out
    }

    /// Takes out what need not leave any more.
    pub fn discard(&mut self, unwanted: impl Fn(&P) -> bool) -> Vec<P> {
        let mut gone = Vec::new();
        for queue in &mut self.queues {
            for waiting in std::mem::take(queue) {
                if unwanted(&waiting.packet) {
                    self.count -= 1;
                    self.octets -= waiting.size;
                    gone.push(waiting.packet);
                } else {
                    queue.push_back(waiting);
                }
            }
        }
        gone
    }

    /// Bytes that left besides: padding.
    pub fn spent(&mut self, size: usize, now: f64) {
        self.leak(now);
        self.level += size as f64;
    }
}
