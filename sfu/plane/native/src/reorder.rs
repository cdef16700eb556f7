//! Packets back in order for taps: waits a bounded time for what is missing, then goes on and says how much is lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::history::MediaPacket;

/// How many packets were given up on just before, and the packet.
pub type Released = (i64, Arc<MediaPacket>);

pub struct Reorder {
    max_packets: usize,
    max_delay: f64,
    held: BTreeMap<i64, Arc<MediaPacket>>,
    /// Sequences as they came; those no longer held are skipped.
    came: VecDeque<i64>,
    next: Option<i64>,
    /// After a reset: what comes late from before it stays behind.
    floor: Option<i64>,
}

impl Reorder {
    pub fn new(max_packets: usize, max_delay: f64) -> Self {
        Reorder { max_packets, max_delay, held: BTreeMap::new(), came: VecDeque::new(), next: None, floor: None }
    }

    /// What this packet lets go, in order.
    pub fn push(&mut self, packet: &Arc<MediaPacket>, now: f64) -> Vec<Released> {
        let sequence = packet.sequence;
        if self.next.is_none() && self.floor.is_some_and(|floor| sequence < floor) {
            return Vec::new();
        }
        match self.next {
            Some(expected) if sequence < expected => Vec::new(),
            Some(expected) if sequence > expected => {
                self.held.entry(sequence).or_insert_with(|| {
                    self.came.push_back(sequence);
                    packet.clone()
                });
                self.poll(now)
            }
            _ => {
                self.next = Some(sequence + 1);
                let mut released = vec![(0, packet.clone())];
                if !self.held.is_empty() {
                    self.follow(&mut released);
                    released.extend(self.poll(now));
                }
                released
            }
        }
    }

    fn oldest(&mut self) -> Option<f64> {
        while let Some(sequence) = self.came.front() {
            if let Some(packet) = self.held.get(sequence) {
                return Some(packet.arrival);
            }
            self.came.pop_front();
        }
        None
    }

    /// What may not wait any longer at `now`.
    pub fn poll(&mut self, now: f64) -> Vec<Released> {
        let mut released = Vec::new();
        while let (Some(next), Some(oldest)) = (self.next, self.oldest()) {
            if self.held.len() <= self.max_packets && oldest > now - self.max_delay {
                break;
            }
            let Some((first, packet)) = self.held.pop_first() else { break };
            released.push((first - next, packet));
            self.next = Some(first + 1);
            self.follow(&mut released);
        }
        released
    }

    /// Lets everything go and starts anew with the next packet.
    pub fn reset(&mut self) -> Vec<Released> {
        let released = self.poll(f64::INFINITY);
        if let Some(next) = self.next.take() {
            self.floor = Some(next);
        }
        released
    }

    fn follow(&mut self, released: &mut Vec<Released>) {
        while let Some(packet) = self.next.and_then(|next| self.held.remove(&next)) {
            self.next = Some(packet.sequence + 1);
            released.push((0, packet));
        }
    }
}
