//! The last packets of one source: for retransmission, to see duplicates and to fill up late sinks.

use std::sync::Arc;

use crate::dependency::Dependency;
use crate::descriptor::Descriptor;

/// One received packet, decrypted. Numbers never wrap; `marker` is 0x80 or 0, `level` the RFC 6464 byte or -1.
pub struct MediaPacket {
    pub sequence: i64,
    pub timestamp: i64,
    pub marker: u8,
    pub level: i16,
    pub keyframe: bool,
    pub arrival: f64,
    pub payload: Box<[u8]>,
    pub descriptor: Option<Descriptor>,
    /// For viewers that take it.
    pub dependency: Option<Dependency>,
    /// How many packets before it are in it once more.
    pub reach: u8,
    /// The same packet of sound as it came, with its redundancy.
    pub redundant: Option<Arc<MediaPacket>>,
}

/// A ring of packets (its size a power of two), none older than `max_age` seconds after `expire`.
pub struct History {
    max_age: f64,
    mask: i64,
    slots: Vec<Option<Arc<MediaPacket>>>,
    oldest: i64,
    highest: i64,
}

impl History {
    pub fn new(size: usize, max_age: f64) -> Self {
        History { max_age, mask: size as i64 - 1, slots: vec![None; size], oldest: -1, highest: -1 }
    }

    pub fn get(&self, sequence: i64) -> Option<&Arc<MediaPacket>> {
        self.slots[(sequence & self.mask) as usize].as_ref().filter(|packet| packet.sequence == sequence)
    }

    /// False for a duplicate and for a packet older than the ring reaches.
    pub fn add(&mut self, packet: &Arc<MediaPacket>) -> bool {
        let sequence = packet.sequence;
        let slot = (sequence & self.mask) as usize;
        if sequence > self.highest {
            for gap in (self.highest + 1).max(sequence - self.mask)..sequence {
                self.slots[(gap & self.mask) as usize] = None;
            }
            self.highest = sequence;
        } else if sequence < self.highest - self.mask || self.slots[slot].is_some() {
            return false;
        }
        self.slots[slot] = Some(packet.clone());
        if self.oldest < 0 || sequence < self.oldest {
            self.oldest = sequence;
        }
        true
    }

    /// Forgets what is older than `max_age`; cost is by what there is to forget.
    pub fn expire(&mut self, now: f64) {
        let limit = now - self.max_age;
        self.oldest = self.oldest.max(self.highest - self.mask);
        while self.oldest <= self.highest {
            if let Some(packet) = self.get(self.oldest) {
                if packet.arrival > limit {
                    return;
                }
                let slot = (self.oldest & self.mask) as usize;
                self.slots[slot] = None;
            }
            self.oldest += 1;
        }
    }

    pub fn clear(&mut self) {
        self.slots.fill(None);
        self.oldest = -1;
        self.highest = -1;
    }
}
